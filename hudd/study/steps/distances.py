"""Pairwise distances of the errors' heatmaps, layer by layer, cut into shards that each rank can compute for itself."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from hudd.distances import pairwise_distances
from hudd.progress import progress
from hudd.store import SHARD_BYTES, ShardSet, Stored, write_dataset
from hudd.study.estimate import estimate_step
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.linking import linked_from
from hudd.study.step import Step
from hudd.study.steps import heatmaps

_Ranges = list[tuple[int, int]]

_IN_MEMORY = 512 << 20  # heatmaps of a layer up to this size are read once


def fingerprints(inputs: Inputs) -> dict[str, str]:
    """Everything that the distances of each layer depend on; of one that is linked from rows none are kept."""
    mark = heatmaps.fingerprint(inputs)
    return {
        layer: digest("distances", mark, layer, inputs.settings.choices.unit_norm)
        for layer in inputs.results.layers
        if inputs.linked_from(layer) == "matrix"
    }


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Compute the distances of every layer that lacks them.

    Parameters
    ----------
    inputs : Inputs
        DNN, data and settings.
    journal : Journal
        Where results are.
    checksums : bool
        Read every shard and compute the damaged ones again, also where the step is done.
    """
    layers = inputs.results.layers
    inputs.linked = journal.lead(lambda: {layer: linked_from(inputs.results, layer) for layer in layers})
    todo = journal.lead(lambda: _missing(inputs, journal, checksums))
    if not todo:
        return
    pairs = sum(stop - start for ranges in todo.values() for start, stop in ranges)
    journal.lead(lambda: estimate_step(journal, "distances", 4 * pairs, 0.0))
    for group in heatmaps.groups(inputs):
        wanted = [layer for layer in group if layer in todo]
        if any(todo[layer] for layer in wanted):
            with heatmaps.at(inputs, journal, group) as stored:
                seconds = _compute(inputs, journal, {layer: stored[layer] for layer in wanted}, todo)
                _commit(inputs, journal, wanted, stored, seconds)
        else:
            _commit(inputs, journal, wanted, {}, {})


def _shards(inputs: Inputs, journal: Journal, layer: str, mark: str) -> ShardSet:
    rows = len(inputs.results.errors)
    directory, pairs = journal.shards(f"distances/{layer}", mark), rows * (rows - 1) // 2
    algorithm = journal.algorithm(f"distances/{layer}", mark)
    return ShardSet(directory, pairs, SHARD_BYTES // 4, mark, inputs.settings.compression, algorithm)


def _missing(inputs: Inputs, journal: Journal, checksums: bool) -> dict[str, _Ranges]:
    """Ranges of pairs that are missing, for every layer that is not done or lacks some."""
    found = {}
    for layer, mark in fingerprints(inputs).items():
        done = journal.is_done(f"distances/{layer}", mark)
        missing = _shards(inputs, journal, layer, mark).missing(checksums=checksums or not done)
        if missing and done:
            journal.check_algorithm(f"distances/{layer}")
        if missing or not done:
            found[layer] = missing
    return found


def _compute(
    inputs: Inputs, journal: Journal, stored: dict[str, Stored], todo: dict[str, _Ranges]
) -> dict[str, float]:
    """Compute the shards that are missing, each rank its share of those of all layers; return the seconds."""
    marks = fingerprints(inputs)
    mine = journal.ranks.mine([(layer, piece) for layer in stored for piece in todo[layer]])

    def work() -> dict[str, float]:
        taken = {}
        with progress("distances", len(mine), unit="blocks") as advance:
            for layer, rows in stored.items():
                started, ranges = time.perf_counter(), [piece for name, piece in mine if name == layer]
                size = rows.dtype.itemsize * int(np.prod(rows.shape, dtype=np.int64))
                source = rows.numpy() if ranges and size <= _IN_MEMORY else rows
                shards = _shards(inputs, journal, layer, marks[layer])
                for start, stop in ranges:
                    shards.write(start, {"distance": _pairs(inputs, source, start, stop)})
                    advance(1)
                taken[layer] = time.perf_counter() - started
        return taken

    ranks = journal.ranks.each(work)
    return {layer: max(taken[layer] for taken in ranks) for layer in stored}


def _pairs(inputs: Inputs, rows: Any, start: int, stop: int) -> np.ndarray:
    """Compute the distances `start` to `stop` of the condensed matrix, whatever the other shards are.

    They belong to the rows `first` to `last`: a triangle of these among themselves, and a block of these
    against all that follow.
    """
    count = len(rows)
    offsets = np.arange(count) * (2 * count - np.arange(count) - 1) // 2  # where each row's pairs begin
    first, last = np.searchsorted(offsets, [start, stop - 1], side="right") - [1, 0]
    last = count if last == count - 1 else last  # the last row has no pairs of its own
    device = None if inputs.device.type == "cpu" else inputs.device
    between = partial(pairwise_distances, unit_norm=inputs.settings.choices.unit_norm, device=device)
    if first == 0 and last == count:
        return between(rows, condensed=True)[start:stop]
    own = _part(rows, first, last)
    inside = between(own, condensed=True)
    across = between(own, _part(rows, last, count)) if last < count else None
    parts, at = [], 0
    for row in range(last - first):
        parts.append(inside[at : at + last - first - 1 - row])
        at += last - first - 1 - row
        if across is not None:
            parts.append(across[row])
    return np.concatenate(parts)[start - offsets[first] : stop - offsets[first]]


def _part(rows: Any, first: int, last: int) -> Any:
    return rows[first:last] if isinstance(rows, np.ndarray) else _Rows(rows, first, last)


class _Rows:
    """Some consecutive rows of an array in a file, read by slices."""

    def __init__(self, rows: Any, first: int, last: int) -> None:
        self.rows, self.first, self.dtype = rows, first, rows.dtype
        self.shape = (last - first, *rows.shape[1:])

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        start, stop, step = rows.indices(self.shape[0])
        part: np.ndarray = self.rows[(slice(self.first + start, self.first + stop, step), *rest)]
        return part


def _commit(
    inputs: Inputs, journal: Journal, layers: list[str], stored: dict[str, Stored], seconds: dict[str, float]
) -> None:
    """Show the finished shards of some layers in the file."""
    marks = fingerprints(inputs)

    def commit() -> None:
        for layer in layers:
            if not journal.is_done(f"distances/{layer}", marks[layer]):
                started = time.perf_counter() - seconds.get(layer, 0.0)
                _show(
                    inputs,
                    journal,
                    layer,
                    _shards(inputs, journal, layer, marks[layer]),
                    stored.get(layer),
                    started,
                )

    journal.lead(commit)


def _show(
    inputs: Inputs, journal: Journal, layer: str, shards: ShardSet, rows: Stored | None, started: float
) -> None:
    unit_norm = inputs.settings.choices.unit_norm
    with journal.committing(f"distances/{layer}", shards.fingerprint, started) as h5:
        journal.forget_after(h5, f"distances/{layer}")
        layout = shards.virtual_layout("distance", journal.path) if shards.rows else np.empty(0, np.float32)
        what, units = ("unit-norm heatmaps", "1") if unit_norm else ("heatmaps", "logit")
        about = f"Euclidean distance of two errors' {what}; upper triangle by rows, as SciPy's pdist"
        write_dataset(h5, f"layers/{layer}/distance", layout, dims=("pair",), units=units, description=about)
        if rows is not None:
            heatmaps.write_conservation(inputs, h5, layer, rows)
    if shards.rows:
        journal.keep_shards(shards.directory)


STEP = Step(
    name="distances",
    requires=("heatmaps",),
    outputs={"distances": ("distance",)},
    by_layer=frozenset({"distances"}),
    shards=("distances",),
    run=run,
    fingerprint=lambda inputs, journal: {f"distances/{k}": mark for k, mark in fingerprints(inputs).items()},
)
