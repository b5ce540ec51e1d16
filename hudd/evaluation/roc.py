"""How well scores tell failures from correctly classified images, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hudd.errors import UsageError

_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Auroc:
    """Area under the curve of the receiver operating characteristic; see :func:`auroc`.

    Attributes
    ----------
    value : float
        How often a failure has a higher score than another image, ties counting one half.
    variance : float
        Of the estimate.
    pairs : int
        Failures, or other images where these are fewer.
    """

    value: float
    variance: float
    pairs: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, on the logit scale, so that it stays between 0 and 1.

        Where all pairs are in one order, that of as many pairs as there are without an image twice.
        """
        if not 0 < self.value < 1:
            least = 0.025 ** (1 / self.pairs)
            return (least, 1.0) if self.value else (0.0, 1 - least)
        spread = self.value * (1 - self.value)
        middle, half = math.log(self.value / (1 - self.value)), _Z * math.sqrt(self.variance) / spread
        low, high = (1 / (1 + math.exp(-one)) for one in (middle - half, middle + half))
        return low, high


@dataclass(frozen=True)
class AurocDifference:
    """Of one score less that of another one on the same images.

    Attributes
    ----------
    value : float
        The difference.
    interval : (float, float)
        Its 95 % interval.
    """

    value: float
    interval: tuple[float, float]


def auroc(failed: np.ndarray, *scores: np.ndarray) -> list[Auroc]:
    """Return the area under the curve of each score (E. R. DeLong et al., Biometrics 44(3), 1988).

    Parameters
    ----------
    failed : np.ndarray
        (N,) bool.
    *scores : np.ndarray
        (N,) numbers each, higher for what is likelier a failure.

    Raises
    ------
    UsageError
        If there are fewer than two failures or fewer than two other images.
    """
    areas, covariance = _delong(failed, scores)
    pairs = int(min(failed.sum(), (~failed).sum()))
    return [Auroc(float(value), float(covariance[at, at]), pairs) for at, value in enumerate(areas)]


def auroc_difference(failed: np.ndarray, one: np.ndarray, other: np.ndarray) -> AurocDifference:
    """Return the area of one score less that of another one on the same images; parameters as of :func:`auroc`."""
    areas, covariance = _delong(failed, (one, other))
    value = float(areas[0] - areas[1])
    half = _Z * math.sqrt(max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    return AurocDifference(value, (value - half, value + half))


def _delong(failed: np.ndarray, scores: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Areas, (m,), and their covariance, (m, m)."""
    from scipy.stats import rankdata  # takes longer to import than results take to show

    failed = np.asarray(failed, bool)
    n, m = int(failed.sum()), int((~failed).sum())
    if min(n, m) < 2:
        raise UsageError(
            f"there are {n} failures and {m} other images; of fewer than two of either nothing can be said."
        )
    of_failures, of_others = np.empty((len(scores), n)), np.empty((len(scores), m))
    for at, score in enumerate(scores):
        own = np.asarray(score, np.float64)
        ranks = rankdata(own)
        of_failures[at] = (ranks[failed] - rankdata(own[failed])) / m
        of_others[at] = 1 - (ranks[~failed] - rankdata(own[~failed])) / n
    covariance = (
        np.cov(of_failures).reshape(len(scores), -1) / n + np.cov(of_others).reshape(len(scores), -1) / m
    )
    return of_failures.mean(axis=1), covariance
