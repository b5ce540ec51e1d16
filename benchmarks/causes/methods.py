"""hudd's presets, whole: what each makes of a problem by the choices that a study would take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from features import Source, isometric

from hudd.clustering import choose_layer, cluster
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.features.moments import Moments
from hudd.presets import get_preset

Result = tuple[np.ndarray, int]


def _by_heatmaps(name: str) -> Callable[[Source], Result]:
    """Whole heatmaps of every layer, clustered one by one; the layer is the preset's choice."""

    def run(source: Source) -> Result:
        preset = get_preset(name)
        found = {}
        for layer, rows in source.of(preset.rules).items():
            flat = rows.reshape(len(rows), -1).astype(np.float32)
            flat = unit_norm_rows(flat) if preset.unit_norm else flat
            found[layer] = cluster(pairwise_distances(isometric(flat), condensed=True), preset=name)
        layer = choose_layer(found, preset=name)
        return found[layer].labels, 4 * source.of(preset.rules)[layer][0].size

    return run


def _by_transfer(source: Source) -> Result:
    return cluster(source.transfer, preset="safe").labels, 4 * source.transfer.shape[1]


def _by_moments(size: int | None = None) -> Callable[[Source], Result]:
    """As a study of preset ``moments`` does, by the package's own extractor, with clusters of `size` on average."""

    def run(source: Source) -> Result:
        given, preset = source.problem, get_preset("moments")
        images, target = given.as_inputs(given.images), torch.from_numpy(given.prediction)
        right = (given.as_inputs(given.right), torch.from_numpy(given.right_label))
        extractor = Moments(
            given.model.module, lambda most: [(images, target)], lambda most: [right], preset.rules
        )
        rows = extractor.attribute(images, target).layers["moments"].numpy()
        return cluster(rows, preset="moments", cluster_size=size).labels, 4 * rows.shape[1]

    return run


METHODS: dict[str, Callable[[Source], Result]] = {
    "preset hudd": _by_heatmaps("hudd"),
    "preset hudd-2021": _by_heatmaps("hudd-2021"),
    "preset moments": _by_moments(),
    **{f"preset moments, {size} each": _by_moments(size) for size in (30, 20, 10, 6)},
    "preset safe": _by_transfer,
}
