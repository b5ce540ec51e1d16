"""Pairwise distances of the errors' heatmaps, layer by layer."""

from __future__ import annotations

import time

import numpy as np

from hudd.distances import pairwise_distances
from hudd.progress import progress
from hudd.store import SHARD_BYTES, ShardSet, drop, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import heatmaps
from hudd.study.study import AFTER, Study

OF_A_LAYER = ("linkage", "wicd", "label", "medoid")


def fingerprints(study: Study) -> dict[str, str]:
    """Everything that the distances of each layer depend on."""
    mark = heatmaps.fingerprint(study)
    return {
        layer: digest("distances", mark, layer, study.settings.choices.unit_norm) for layer in study.layers
    }


def run(study: Study, *, checksums: bool = False) -> None:
    """Compute the distances of every layer that lacks them.

    Parameters
    ----------
    study : Study
        The study.
    checksums : bool
        Read every shard and compute the damaged ones again, also where the step is done.
    """
    rows, todo = len(study.errors), {}
    for layer, mark in fingerprints(study).items():
        pairs = rows * (rows - 1) // 2
        shards = ShardSet(study.shards(f"distances/{layer}", mark), pairs, SHARD_BYTES // 4, mark)
        if not study.is_done(f"distances/{layer}", mark) or shards.missing(checksums=checksums):
            todo[layer] = shards
    if todo:
        heatmaps.run(study, checksums=True)
    with progress("distances", len(todo), unit="layers") as advance:
        for layer, shards in todo.items():
            _layer(study, layer, shards)
            advance(1)


def _layer(study: Study, layer: str, shards: ShardSet) -> None:
    started, unit_norm = time.perf_counter(), study.settings.choices.unit_norm
    missing = shards.missing()
    if missing:
        distances = pairwise_distances(study.heatmaps_of(layer), condensed=True, unit_norm=unit_norm)
        for start, stop in missing:
            shards.write(start, {"distance": distances[start:stop]})
    if study.is_done(f"distances/{layer}", shards.fingerprint):
        return
    with study.committing(f"distances/{layer}", shards.fingerprint, started) as h5:
        drop(h5, [f"layers/{layer}/{name}" for name in OF_A_LAYER] + [f"steps/cluster/{layer}"])
        study.forget(h5, *AFTER["cluster"])
        layout = shards.virtual_layout("distance", study.path) if shards.rows else np.empty(0, np.float32)
        what, units = ("unit-norm heatmaps", "1") if unit_norm else ("heatmaps", "logit")
        about = f"Euclidean distance of two errors' {what}; upper triangle by rows, as SciPy's pdist"
        write_dataset(h5, f"layers/{layer}/distance", layout, dims=("pair",), units=units, description=about)
    if shards.rows:
        study.keep_shards(shards.directory)
