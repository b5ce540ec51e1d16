"""When chance does as well: equal statistics, summed in another order, differ in their last digits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.05
"""The p-value up to which something is reported as found."""
_ROUNDING = 1e-9


def as_good(by_chance: np.ndarray | float, found: np.ndarray | float) -> np.ndarray:
    """Say where a statistic of random rows is at least what was found; ties count, as a p-value asks."""
    result: np.ndarray = np.asarray(by_chance) >= found - _ROUNDING * np.maximum(1, np.abs(found))
    return result


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, between 0 and 1 (E. B. Wilson, JASA 22(158), 1927).

    Parameters
    ----------
    count, of : int
        How many of how many; where nothing was counted, the interval is all of 0 to 1.
    """
    if not of:
        return 0.0, 1.0
    z = 1.959963984540054
    share, spread = count / of, z**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    # Rounding must not leave the share outside its own interval.
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by the method of Holm (Scand. J. Statist. 6(2), 1979).

    Parameters
    ----------
    p_values : Sequence[float]
        Of one family of tests, in any order, which the result keeps.
    """
    order, found, largest = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        found[at] = largest
    return found
