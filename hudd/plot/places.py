"""Where a study's errors lie on the map of a layer."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hudd.plot.clusters import embed

MOST_ERRORS = 12_000
"""Errors beyond which neither stability nor map is computed: both need time with their square."""


class Distances(Protocol):
    """What the map is drawn from, as a study or its view has it."""

    @property
    def errors(self) -> np.ndarray:
        """(N,) rows of the errors."""

    def distances_of(self, layer: str) -> np.ndarray:
        """(N (N - 1) / 2,) condensed distances of a layer."""


def places(study: Distances, layer: str) -> np.ndarray | None:
    """Return the (N, 2) places of the errors on the map of a layer; None where there are too many for one."""
    return embed(study.distances_of(layer)) if len(study.errors) <= MOST_ERRORS else None
