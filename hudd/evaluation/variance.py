"""Do the images of a cluster share a cause? Parameters that vary less inside it than over all errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hudd.errors import UsageError


@dataclass(frozen=True)
class VarianceReduction:
    """Reduction of each parameter's variance inside each cluster.

    Attributes
    ----------
    clusters : np.ndarray
        (k,) int64 labels of the clusters with at least two members, ascending.
    size : np.ndarray
        (k,) int64 members.
    parameters : tuple of str
        The p numeric parameters.
    reduction : np.ndarray
        (k, p) float64: 1 - variance inside / variance over all errors. 1 is a constant, 0 no reduction,
        below 0 more spread than overall; 0 for a parameter that is the same everywhere.
    p_value : np.ndarray or None
        (k,) share of random clusterings with the same sizes in which the cluster of this size has a best
        reduction at least as large; None where no permutation was asked for.
    chance : float or None
        What :meth:`share_reduced` is on average for random clusterings with the same sizes.
    """

    clusters: np.ndarray
    size: np.ndarray
    parameters: tuple[str, ...]
    reduction: np.ndarray
    p_value: np.ndarray | None = None
    chance: float | None = None

    @property
    def best(self) -> np.ndarray:
        """(k,) the largest reduction of each cluster."""
        return self.reduction.max(axis=1, initial=-np.inf)

    def share_reduced(self, threshold: float = 0.5) -> float:
        """Share of clusters with a parameter whose variance is reduced by more than the threshold."""
        return float((self.best > threshold).mean()) if len(self.clusters) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the table and its summary as JSON-able values."""
        rows = []
        for i, cluster in enumerate(self.clusters.tolist()):
            row: dict[str, Any] = {"cluster": cluster, "size": int(self.size[i])}
            row["reduction"] = dict(zip(self.parameters, self.reduction[i].tolist()))
            row["best_parameter"] = self.parameters[int(self.reduction[i].argmax())]
            if self.p_value is not None:
                row["p_value"] = float(self.p_value[i])
            rows.append(row)
        chance = {} if self.chance is None else {"share_reduced_by_chance": self.chance}
        return {
            "share_reduced_by_half": self.share_reduced(),
            **chance,
            "mean_best_reduction": float(self.best.mean()) if rows else 0.0,
            "mean_reduction": float(self.reduction.mean()) if rows else 0.0,
            "clusters": rows,
        }


def variance_reduction(
    parameters: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    angles: Mapping[str, float] | None = None,
    permutations: int = 0,
    seed: int = 0,
) -> VarianceReduction:
    """Compare each parameter's variance inside each cluster with that over all errors.

    The measure of the paper's first research question (Fahmy et al., IEEE Trans. Reliability 70(4), 2021).
    The variance is the sample variance (divided by n - 1); for angles it is the circular variance
    1 - abs(mean of exp(2 pi i value / period)) (Mardia and Jupp, Directional Statistics, 2000, section 2.3).
    Images whose value is not a number are left out for that parameter.

    Parameters
    ----------
    parameters : mapping of str to np.ndarray
        (N,) values for the N error images; text columns are passed over.
    labels : np.ndarray
        (N,) int clusters from 1; images with a label below 1 count among all errors only.
    angles : mapping of str to float, optional
        Parameters that are angles, with their period, e.g. ``{"head_yaw": 360}``.
    permutations : int
        Random permutations of the labels for the p-values; 0 for none. The best of all parameters is
        compared with the best of all parameters, so that many parameters do not make for small p-values.
    seed : int
        Seed of the permutations.

    Returns
    -------
    VarianceReduction

    Raises
    ------
    UsageError
        If there is no numeric parameter, lengths differ, or a period is not above 0.
    """
    labels = np.asarray(labels)
    angles = dict(angles or {})
    numeric = {
        name: np.asarray(v, np.float64)
        for name, v in parameters.items()
        if np.asarray(v).dtype.kind in "biuf"
    }
    if not numeric:
        raise UsageError(f"none of the parameters {list(parameters)} is numeric; variance needs numbers.")
    for name, values in numeric.items():
        if values.shape != labels.shape:
            raise UsageError(
                f"parameter '{name}' has shape {values.shape} but there are {len(labels)} error images."
            )
    if unknown := sorted(set(angles) - set(numeric)):
        raise UsageError(f"angles {unknown} are no numeric parameters; there are {list(numeric)}.")
    for name, period in angles.items():
        if not period > 0:
            raise UsageError(f"the period of angle '{name}' is {period}; give a number above 0, such as 360.")

    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    clusters, size = clusters[size > 1].astype(np.int64), size[size > 1]
    column = np.full(len(labels), len(clusters))  # those in no cluster go to a bin of their own
    for i, cluster in enumerate(clusters):
        column[labels == cluster] = i

    spreads = [_Spread(values, angles.get(name)) for name, values in numeric.items()]
    reduction = np.stack([spread.reduction(column, len(clusters)) for spread in spreads], axis=1)
    found = VarianceReduction(clusters, size, tuple(numeric), reduction)
    if not permutations:
        return found
    if not len(clusters):
        return replace(found, p_value=np.empty(0), chance=0.0)
    rng, exceeded, halved = np.random.default_rng(seed), np.zeros(len(clusters)), 0.0
    for _ in range(permutations):
        shuffled = rng.permutation(column)
        by_chance = np.max([spread.reduction(shuffled, len(clusters)) for spread in spreads], axis=0)
        exceeded += by_chance >= found.best
        halved += float((by_chance > 0.5).mean())
    return replace(found, p_value=(1 + exceeded) / (1 + permutations), chance=halved / permutations)


class _Spread:
    """One parameter, ready to be split by any labelling."""

    def __init__(self, values: np.ndarray, period: float | None) -> None:
        self.known = np.isfinite(values)
        values = values[self.known]
        self.circular = period is not None
        if period is not None:
            turn = 2 * np.pi * values / period
            self.parts = [np.cos(turn), np.sin(turn)]
        else:  # centred, or the squares lose the digits
            centred = values - values.mean() if len(values) else values
            self.parts = [centred, centred**2]
        self.total = self._variance(np.zeros(len(values), np.int64), 1)[0]

    def reduction(self, column: np.ndarray, count: int) -> np.ndarray:
        """(count,) reduction of variance in each column; 0 where it is constant over all or unknown."""
        inside = self._variance(column[self.known], count)
        if not self.total > 1e-12 * max(1.0, float(np.abs(self.parts[0]).max(initial=0)) ** 2):
            return np.zeros(count)
        return np.nan_to_num(1 - inside / self.total, nan=0.0)

    def _variance(self, column: np.ndarray, count: int) -> np.ndarray:
        """(count,) sample or circular variance; NaN with fewer than two values."""
        n, first, second = (np.bincount(column, w, count + 1)[:count] for w in (None, *self.parts))
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.circular:
                return np.where(n > 1, 1 - np.hypot(first, second) / n, np.nan)
            return np.where(n > 1, np.maximum(second - first**2 / n, 0) / (n - 1), np.nan)
