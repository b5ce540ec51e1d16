"""Heatmaps over the image, as people look at them."""

from __future__ import annotations

import numpy as np
import torch

from hudd.errors import UnsupportedOperation
from hudd.lrp import LRP
from hudd.study.inputs import Inputs

_BASELINES = ("mean", "blur")  # what images are told apart from, see docs/heatmap-quality.md


def spatial_heatmaps(inputs: Inputs, rows: np.ndarray, layer: str) -> np.ndarray:
    """Return (n, h, w) float32 relevance summed over channels, of the error rows `rows` at `layer`.

    Where the layer's input has no space (after flattening), or other features are clustered, it is the
    relevance of the image itself, against a baseline where :attr:`Settings.pictured_against_baseline` says so
    and the DNN's operations allow it.
    """
    results, settings = inputs.results, inputs.settings
    rows = np.asarray(rows, np.int64)
    shape, explained = results.heatmap_shape(layer), settings.kind.drawn
    if explained and len(shape) == 3 and results.has(f"layers/{layer}/relevance"):
        unique, back = np.unique(rows, return_inverse=True)
        channels = results.channel_axis(layer)
        return np.asarray(results.heatmaps_of(layer)[unique].sum(axis=channels, dtype=np.float32)[back])
    explained_of, errors = results.explained("test"), results.errors[rows]
    lrp = _of_images(inputs, errors[:1]) if settings.pictured_against_baseline else None
    lrp = lrp or LRP(
        inputs.model.module,
        rules=settings.effective_rules,
        bias=settings.bias,
        layers=[layer, "input"] if explained else ["input"],
        precision=settings.arithmetic,
    )
    parts = []
    for start in range(0, len(rows), settings.batch_size):
        part = errors[start : start + settings.batch_size]
        images, numbers = inputs.source("test").load(part), torch.from_numpy(explained_of[part])
        target = inputs.task.explain(numbers.to(inputs.device))
        relevance = lrp.attribute(images.to(inputs.device), target=target)
        heatmap = relevance.layers.get(layer)
        if heatmap is None or heatmap.ndim != 4:
            assert relevance.input is not None  # it was asked for
            spatial = relevance.input.sum(dim=1)
        else:
            spatial = heatmap.sum(dim=lrp.channels[layer])
        parts.append(spatial.float().cpu().numpy())
    return np.concatenate(parts)


def _of_images(inputs: Inputs, example: np.ndarray) -> LRP | None:
    """Relevance of images against their mean colour and the blurred image; None where an operation forbids it."""
    lrp = LRP(
        inputs.model.module,
        rules="epsilon",
        layers=["input"],
        precision=inputs.settings.arithmetic,
        baseline=_BASELINES,
    )
    images = inputs.source("test").load(example)
    try:
        lrp.prepare(images.to(inputs.device))
    except UnsupportedOperation:
        return None
    return lrp if images.ndim == 4 else None
