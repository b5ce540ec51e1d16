"""Whether relevance lies where the cause of a failure was put, by masks of that place.

Of positive relevance the share inside the mask (relevance mass accuracy, Arras et al. 2022, arXiv 2003.07258); whether
the most relevant pixel is inside (the pointing game, Zhang et al. 2016, arXiv 1608.00507); and the area under the ROC
curve of the pixels inside against those outside.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor

FIGURES = ("inside", "pointing", "auc")


def located(maps: Tensor, masks: Tensor) -> dict[str, np.ndarray]:
    """The figures of each image, (N,) each.

    Parameters
    ----------
    maps : Tensor, (N, H, W)
        Relevance.
    masks : Tensor, (N, H, W) bool
        Where the cause is; neither nowhere nor everywhere.
    """
    size = masks.flatten(1).sum(1)
    if not ((size > 0) & (size < masks[0].numel())).all():
        raise ValueError("a mask must hold some pixels of an image, and not all.")
    return {"inside": _inside(maps, masks), "pointing": _pointing(maps, masks), "auc": _auc(maps, masks)}


def _inside(maps: Tensor, masks: Tensor) -> np.ndarray:
    """Share of positive relevance inside; 0 where there is none at all."""
    positive = maps.double().clamp(min=0)
    whole = positive.sum((1, 2))
    share = (positive * masks).sum((1, 2)) / torch.where(whole > 0, whole, 1)
    return share.numpy()


def _pointing(maps: Tensor, masks: Tensor) -> np.ndarray:
    """Whether the most relevant pixel is inside; of equal ones the share that is."""
    most = maps == maps.amax((1, 2), keepdim=True)
    return ((most & masks).sum((1, 2)) / most.sum((1, 2))).double().numpy()


def _auc(maps: Tensor, masks: Tensor) -> np.ndarray:
    """The probability that a pixel inside has more relevance than one outside, ties counting half."""
    inside = masks.flatten(1).numpy()
    ranks = stats.rankdata(maps.flatten(1).numpy(), axis=1)
    count = inside.sum(1)
    above = (ranks * inside).sum(1) - count * (count + 1) / 2
    area: np.ndarray = above / (count * (inside.shape[1] - count))
    return area
