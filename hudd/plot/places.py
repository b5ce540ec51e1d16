"""Where a study's errors lie on the map of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hudd.plot.clusters import embed

if TYPE_CHECKING:
    from hudd.study import Study

MOST_ERRORS = 12_000
"""Errors beyond which neither stability nor map is computed: both need time with their square."""


def places(study: Study, layer: str) -> np.ndarray | None:
    """Return the (N, 2) places of the errors on the map of a layer; None where there are too many for one."""
    return embed(study.distances_of(layer)) if len(study.errors) <= MOST_ERRORS else None
