"""Heatmaps over the image, as people look at them."""

from __future__ import annotations

import numpy as np
import torch

from hudd.lrp import LRP
from hudd.study.inputs import Inputs


def spatial_heatmaps(inputs: Inputs, rows: np.ndarray, layer: str) -> np.ndarray:
    """Return (n, h, w) float32 relevance summed over channels, of the error rows `rows` at `layer`.

    Where the layer's input has no space (after flattening), or other features are clustered, it is the
    relevance of the image itself.
    """
    results, settings = inputs.results, inputs.settings
    rows = np.asarray(rows, np.int64)
    shape, explained = results.heatmap_shape(layer), settings.kind.drawn
    if explained and len(shape) == 3 and results.has(f"layers/{layer}/relevance"):
        unique, back = np.unique(rows, return_inverse=True)
        channels = results.channel_axis(layer)
        return np.asarray(results.heatmaps_of(layer)[unique].sum(axis=channels, dtype=np.float32)[back])
    explained_of, errors = results.explained("test"), results.errors[rows]
    lrp = LRP(
        inputs.model.module,
        rules=settings.rules_of_pictures,
        bias=settings.bias,
        baseline=settings.baselines_of_pictures,
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
