"""When chance does as well: equal statistics, summed in another order, differ in their last digits."""

from __future__ import annotations

import numpy as np

SIGNIFICANT = 0.05
"""The p-value up to which something is reported as found."""
_ROUNDING = 1e-9


def as_good(by_chance: np.ndarray | float, found: np.ndarray | float) -> np.ndarray:
    """Say where a statistic of random rows is at least what was found; ties count, as a p-value asks."""
    result: np.ndarray = np.asarray(by_chance) >= found - _ROUNDING * np.maximum(1, np.abs(found))
    return result
