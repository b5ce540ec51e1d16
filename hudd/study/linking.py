"""Whether errors are linked from a matrix of their distances or from their rows, and where distances come from then."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hudd.clustering import works_on_rows
from hudd.clustering.pairs import Matrix, Pairs, Rows, Source
from hudd.memory import memory_bytes
from hudd.presets import get_preset
from hudd.study.settings import Settings

if TYPE_CHECKING:
    from hudd.store import Stored
    from hudd.study.results import Results

_SHARE = 4  # of the memory, for a matrix; linking takes as much again
_ROW_BYTES = (
    40  # per number of a row, while rows are linked: as stored, in float64, offsets, and tables of the search
)


class Layers(Protocol):
    """What tells the distances of a layer, as a study or its view has it."""

    @property
    def settings(self) -> Settings:
        """The study's settings."""

    def has(self, name: str) -> bool:
        """Whether the study holds a dataset."""

    def distances_of(self, layer: str) -> np.ndarray:
        """(N (N - 1) / 2,) condensed distances of a layer."""

    def heatmaps_of(self, layer: str) -> Stored:
        """(N, ...) rows of a layer."""


def linked_from(results: Results, layer: str) -> Source:
    """Return from what a layer is linked: as the settings say, else as it was, else by the memory there is.

    So that a study goes on in the same way on a machine with less memory or more.
    """
    settings = results.settings
    if settings.linkage_from != "auto":
        return settings.linkage_from
    if not works_on_rows(settings.choices.clusterer, get_preset(settings.preset).linkage_on):
        return "matrix"
    with results.file.reading() as h5:
        group = h5[f"layers/{layer}"]
        if "wicd" in group:
            return "rows" if group["wicd"].attrs.get("linked_from") == "rows" else "matrix"
        if "distance" in group:
            return "matrix"
        shape = group.attrs["shape"]
    count = len(results.errors)
    matrix = 2 * count * (count - 1)
    rows = _ROW_BYTES * count * prod(int(size) for size in shape)
    return "rows" if rows < matrix > memory_bytes() // _SHARE else "matrix"


def pairs_of(study: Layers, layer: str) -> Pairs:
    """Return the distances of a layer's errors: the matrix where the study has it, else from the rows.

    Raises
    ------
    HuddError
        If it has neither.
    """
    clustered = study.has(f"layers/{layer}/linkage")
    if clustered and not study.has(f"layers/{layer}/distance"):
        return Rows(study.heatmaps_of(layer), study.settings.choices.unit_norm)
    return Matrix(study.distances_of(layer))
