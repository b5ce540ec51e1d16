"""Where a study's errors lie on the map of a layer."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hudd.plot.clusters import embed
from hudd.study.linking import Layers, pairs_of

MOST_ERRORS = 12_000
"""Errors beyond which stability and map are those of a sample: both need time and memory with their square."""
_SAMPLE = 5_000


class Errors(Layers, Protocol):
    """What the map is drawn from, as a study or its view has it."""

    @property
    def errors(self) -> np.ndarray:
        """(N,) rows of the errors."""


def places(study: Errors, layer: str) -> np.ndarray | None:
    """Return the (N, 2) places of the errors on the map of a layer; None where there are too many for one."""
    count = len(study.errors)
    return embed(pairs_of(study, layer).among(np.arange(count))) if count <= MOST_ERRORS else None


def sample(count: int, medoids: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of the errors that stability and map are made of, ascending: all of `count`, or 5,000.

    Parameters
    ----------
    count : int
        Number of errors.
    medoids : ndarray
        Rows that a sample has in any case, as far as there is room.
    seed : int
        Of the draw.
    """
    if count <= MOST_ERRORS:
        return np.arange(count)
    order = np.random.default_rng(seed).permutation(count)
    drawn = np.concatenate([medoids, order[~np.isin(order, medoids)]])[:_SAMPLE]
    return np.sort(drawn)
