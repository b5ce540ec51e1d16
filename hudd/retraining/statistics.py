"""Is one strategy better than another? Interval, rank test and effect size over repeated runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from hudd.errors import UsageError


@dataclass(frozen=True)
class Contrast:
    """One sample against a reference.

    Attributes
    ----------
    u : float
        Mann-Whitney U of the sample.
    p_value : float
        Two-sided (Mann and Whitney, Ann. Math. Stat. 18, 1947): exact where there are no ties and at most 8
        values on one side, else by the normal approximation with both corrections, which is cautious.
    a12 : float
        Probability that a value of the sample exceeds one of the reference, ties counting one half (Vargha
        and Delaney, J. Educ. Behav. Stat. 25(2), 2000): 0.5 no difference, 0.56, 0.64 and 0.71 small, medium
        and large.
    """

    u: float
    p_value: float
    a12: float


def confidence_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean; the mean itself twice where there is one value, or no spread."""
    values = np.asarray(values, np.float64)
    if not len(values):
        raise UsageError("there are no runs to take an interval of.")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, mean
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean - half, mean + half


def least_p_value(runs: int) -> float:
    """Return the smallest p that :func:`contrast` of so many runs against as many can have: that of all ahead."""
    return contrast(np.arange(runs) + runs, np.arange(runs)).p_value


def contrast(values: np.ndarray, reference: np.ndarray) -> Contrast:
    """Compare two samples by ranks, which asks nothing of their distribution."""
    values, reference = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    if not len(values) or not len(reference):
        raise UsageError("both strategies need at least one run to be compared.")
    u, p_value = stats.mannwhitneyu(values, reference, alternative="two-sided")
    return Contrast(float(u), float(p_value), float(u) / (len(values) * len(reference)))
