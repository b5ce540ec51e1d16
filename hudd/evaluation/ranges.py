"""The parameter values at which a cluster's failures happen: its unsafe ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.variance import VarianceReduction


@dataclass(frozen=True)
class UnsafeRange:
    """Where a parameter of a cluster's images lies.

    Attributes
    ----------
    cluster : int
        Its label.
    parameter : str
        One whose variance is reduced in the cluster.
    low, high : float
        The shortest range that holds the asked share of the members; for angles low may exceed high, the
        range then runs through the end of the period.
    reduction : float
        Of the variance, see :class:`VarianceReduction`.
    share_of_all : float
        Share of all errors inside the range: how little says how special the range is.
    """

    cluster: int
    parameter: str
    low: float
    high: float
    reduction: float
    share_of_all: float

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-able values."""
        return asdict(self)


def unsafe_ranges(
    parameters: Mapping[str, np.ndarray],
    labels: np.ndarray,
    found: VarianceReduction,
    *,
    angles: Mapping[str, float] | None = None,
    threshold: float = 0.5,
    share: float = 0.9,
) -> list[UnsafeRange]:
    """List each cluster's range of every parameter whose variance is reduced by more than the threshold.

    Parameters
    ----------
    parameters, labels, angles
        As given to :func:`variance_reduction`.
    found : VarianceReduction
        What it returned.
    threshold : float
        Reduction that is asked for.
    share : float
        Share of the members, in (0, 1], that the range must hold.

    Returns
    -------
    list of UnsafeRange
        Cluster by cluster, the most reduced parameter first.

    Raises
    ------
    UsageError
        If the share is out of range.
    """
    if not 0 < share <= 1:
        raise UsageError(f"share must be above 0 and at most 1, not {share}.")
    labels, ranges = np.asarray(labels), []
    order = found.order
    for row, cluster in enumerate(found.clusters.tolist()):
        for column in order[row]:
            reduction, name = float(found.reduction[row, column]), found.parameters[column]
            if reduction <= threshold:
                break
            values = np.asarray(parameters[name], np.float64)
            period = (angles or {}).get(name)
            low, high = shortest(values[labels == cluster], share, period)
            known = values[np.isfinite(values)] if period is None else values[np.isfinite(values)] % period
            inside = (low <= known) & (known <= high) if low <= high else (known >= low) | (known <= high)
            ranges.append(UnsafeRange(cluster, name, low, high, reduction, float(inside.mean())))
    return ranges


def shortest(values: np.ndarray, share: float, period: float | None) -> tuple[float, float]:
    """Shortest interval, or arc, that holds the share of the values."""
    values = np.sort(values[np.isfinite(values)] if period is None else values[np.isfinite(values)] % period)
    count = max(1, math.ceil(share * len(values) - 1e-9))
    line = values if period is None else np.concatenate([values, values + period])
    starts = len(values) - count + 1 if period is None else len(values)
    first = int(np.argmin(line[count - 1 : count - 1 + starts] - line[:starts]))
    low, high = float(line[first]), float(line[first + count - 1])
    return (low, high) if period is None else (low, high % period)
