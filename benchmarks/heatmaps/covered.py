"""Failing images of a cause whose place is known: something laid over a part of an image that is classified correctly.

The causes are those of the bundled case of digits (a patch) and of ``benchmarks/causes`` (an occluder, a glare), and
the places those that their generators drew.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from corruptions import CORRUPTIONS, extent
from torch import Tensor

from hudd.data.cases.faults import CAUSES, patch_place

if TYPE_CHECKING:
    from families import Network

# From an image, (H, W, C) in 0 to 1, to the spoiled one and the place, (H, W) bool.
Cover = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Covered:
    """Images that fail since a part of them is covered.

    Attributes
    ----------
    images : Tensor, (N, C, H, W)
    classes : Tensor, (N,)
        What the network takes them for.
    masks : Tensor, (N, H, W) bool
        What is covered.
    causes : ndarray, (N,) str
        By what.
    """

    images: Tensor
    classes: Tensor
    masks: Tensor
    causes: np.ndarray


def covered(network: Network, count: int) -> Covered:
    """Cover images that the network gets right, each once, the causes in turns, and keep those that it then gets wrong.

    In the order of ``families.picked``.
    """
    from families import drawn

    draw, rows = np.random.default_rng(1), drawn(network)
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for at in range(0, len(rows), network.batch):
        part = rows[at : at + network.batch]
        images, labels = (network.clean or network.load)(part), torch.from_numpy(network.labels[part])
        right = torch.nonzero(_predicted(network, images) == labels)[:, 0]
        if not len(right):
            continue
        causes = torch.arange(len(right)) % len(network.covers)
        spoiled, masks = _spoiled(network, images[right], causes, draw)
        classes = _predicted(network, spoiled)
        wrong = classes != labels[right]
        found.append((spoiled[wrong], classes[wrong], masks[wrong], causes[wrong]))
        if sum(len(each[1]) for each in found) >= count:
            break
    images, classes, masks, causes = (torch.cat(column)[:count] for column in zip(*found))
    return Covered(images, classes, masks, np.array(network.covers)[causes.numpy()])


@torch.inference_mode()
def _predicted(network: Network, images: Tensor) -> Tensor:
    return network.model(images).argmax(1).clone()


def _spoiled(
    network: Network, images: Tensor, causes: Tensor, draw: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Images with something over them, and where it is."""
    low, high = network.box
    found = []
    for image, cause in zip(images, causes):
        unit = ((image - low) / (high - low)).permute(1, 2, 0).double().numpy()
        spoiled, mask = COVERS[network.covers[int(cause)]](unit, draw)
        found.append((torch.from_numpy(np.clip(spoiled, 0, 1)), torch.from_numpy(mask)))
    spoiled, masks = (torch.stack(column) for column in zip(*found))
    return (low + (high - low) * spoiled.permute(0, 3, 1, 2)).to(images.dtype), masks


def _patch(image: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A patch as in the bundled cases of digits."""
    kind, grey = CAUSES["patch"], image[..., 0]
    side = draw.uniform(kind.mild, kind.severe)
    mask = np.zeros(grey.shape, bool)
    mask[patch_place(grey, side, deepcopy(draw))] = True
    return kind.inject(grey, side, draw)[..., None], mask


def _by_camera(name: str) -> Cover:
    """A cause as in ``benchmarks/causes``, of any severity."""

    def cover(image: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        severity = draw.uniform(0, 1)
        mask = extent(name, len(image), severity, deepcopy(draw))
        return CORRUPTIONS[name](image, severity, draw), mask

    return cover


COVERS: dict[str, Cover] = {"patch": _patch, "occluder": _by_camera("occluder"), "glare": _by_camera("glare")}
