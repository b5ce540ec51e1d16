"""Do the images of a cluster share a cause? Parameters that vary less inside it than over all errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.chance import as_good

_EPSILON = 4 * np.finfo(np.float64).eps  # what rounding leaves of a constant's distance from its mean
_DIGITS = 9  # of reductions that are told apart: sums in another order differ in their last ones


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
    shift : np.ndarray
        (k, p) float64: how far the mean inside lies from that of all errors, in standard deviations of all
        errors (circular ones for angles).
    p_value : np.ndarray or None
        (k,) share of random clusterings with the same sizes in which the cluster of this size has a parameter
        that is reduced more, or as much and shifted at least as far; None where no permutation was asked for.
    chance : float or None
        What :meth:`share_reduced` is on average for random clusterings with the same sizes.
    """

    clusters: np.ndarray
    size: np.ndarray
    parameters: tuple[str, ...]
    reduction: np.ndarray
    shift: np.ndarray
    p_value: np.ndarray | None = None
    chance: float | None = None

    @property
    def best(self) -> np.ndarray:
        """(k,) the largest reduction of each cluster."""
        largest: np.ndarray = self.reduction.max(axis=1, initial=-np.inf)
        return largest

    @property
    def order(self) -> np.ndarray:
        """(k, p) int64 columns of each cluster, the most reduced first, of equally reduced ones the most shifted.

        Many parameters may be constant in a cluster: those of all faults that its images do not have.
        """
        return most_telling(self.reduction, self.shift)

    def share_reduced(self, threshold: float = 0.5) -> float:
        """Share of clusters with a parameter whose variance is reduced by more than the threshold."""
        return float((self.best > threshold).mean()) if len(self.clusters) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the table and its summary as JSON-able values."""
        rows, order = [], self.order
        for i, cluster in enumerate(self.clusters.tolist()):
            row: dict[str, Any] = {"cluster": cluster, "size": int(self.size[i])}
            row["reduction"] = dict(zip(self.parameters, self.reduction[i].tolist()))
            row["best_parameter"] = self.parameters[order[i, 0]]
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
        Random permutations of the labels for the p-values; 0 for none. The most telling of all parameters is
        compared with the most telling of all, so that many parameters do not make for small p-values.
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
    numeric = _numeric(parameters, len(labels), angles)
    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    clusters, size = clusters[size > 1].astype(np.int64), size[size > 1]
    column = np.full(len(labels), len(clusters))  # those in no cluster go to a bin of their own
    for i, cluster in enumerate(clusters):
        column[labels == cluster] = i

    spreads = [_Spread(values, angles.get(name)) for name, values in numeric.items()]
    reduction, shift = _measured(spreads, column, len(clusters))
    found = VarianceReduction(clusters, size, tuple(numeric), reduction, shift)
    if not permutations:
        return found
    if not len(clusters):
        return replace(found, p_value=np.empty(0), chance=0.0)
    p_value, chance = _by_chance(spreads, column, (reduction, shift), permutations, seed)
    return replace(found, p_value=p_value, chance=chance)


def _numeric(
    parameters: Mapping[str, np.ndarray], count: int, angles: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The parameters that are numbers, as float64, one an error image; the angles are among them."""
    numeric = {
        name: np.asarray(v, np.float64)
        for name, v in parameters.items()
        if np.asarray(v).dtype.kind in "biuf"
    }
    if not numeric:
        raise UsageError(f"none of the parameters {list(parameters)} is numeric; variance needs numbers.")
    for name, values in numeric.items():
        if values.shape != (count,):
            raise UsageError(
                f"parameter '{name}' has shape {values.shape} but there are {count} error images."
            )
    if unknown := sorted(set(angles) - set(numeric)):
        raise UsageError(f"angles {unknown} are no numeric parameters; there are {list(numeric)}.")
    for name, period in angles.items():
        if not period > 0:
            raise UsageError(f"the period of angle '{name}' is {period}; give a number above 0, such as 360.")
    return numeric


def _by_chance(
    spreads: list[_Spread],
    column: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    permutations: int,
    seed: int,
) -> tuple[np.ndarray, float]:
    """P-values of the clusters, and the share of clusters with a reduction above a half, in shuffled labels."""
    count = len(found[0])
    rng, exceeded, halved = np.random.default_rng(seed), np.zeros(count), 0.0
    for _ in range(permutations):
        shuffled = rng.permutation(column)
        by_chance = _measured(spreads, shuffled, count)
        exceeded += _as_telling(by_chance, found)
        halved += float((by_chance[0].max(axis=1) > 0.5).mean())
    return (1 + exceeded) / (1 + permutations), halved / permutations


def most_telling(reduction: np.ndarray, shift: np.ndarray, first: np.ndarray | bool = False) -> np.ndarray:
    """Return the columns of (k, p) reductions and shifts in :attr:`VarianceReduction.order`, (k, p) int64.

    Those in `first`, (k, p) bool, come before all others.
    """
    before = np.broadcast_to(first, reduction.shape)
    return np.lexsort((-shift, -reduction.round(_DIGITS), ~before), axis=1)


def _measured(spreads: list[_Spread], column: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, p) reductions and shifts of a labelling."""
    reduction = np.stack([spread.reduction(column, count) for spread in spreads], axis=1)
    return reduction, np.stack([spread.shift(column, count) for spread in spreads], axis=1)


def _as_telling(by_chance: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(k,) bool: by chance a cluster's most telling parameter is as reduced and, if equally, as shifted."""
    (reduced, shifted), (least, far) = (
        [np.take_along_axis(values, most_telling(*pair)[:, :1], 1)[:, 0] for values in pair]
        for pair in (by_chance, found)
    )
    reduced, least = reduced.round(_DIGITS), least.round(_DIGITS)
    as_telling: np.ndarray = (reduced > least) | (reduced == least) & as_good(shifted, far)
    return as_telling


class _Spread:
    """One parameter, ready to be split by any labelling."""

    def __init__(self, values: np.ndarray, period: float | None) -> None:
        self.known = np.isfinite(values)
        values = values[self.known]
        self.circular = period is not None
        if period is not None:
            turn = 2 * np.pi * values / period
            self.parts = [np.cos(turn), np.sin(turn)]
            least = 1e-12  # of a mean of unit vectors
        else:  # centred and of any unit, or the squares lose the digits
            centred = values - values.mean() if len(values) else values
            scale = np.abs(centred).max(initial=0)
            centred = centred / scale if scale > _EPSILON * np.abs(values).max(initial=0) else 0 * centred
            self.parts = [centred, centred**2]
            least = 0.0
        self.total = self._variance(np.zeros(len(values), np.int64), 1)[0]
        self.constant = not self.total > least

    def reduction(self, column: np.ndarray, count: int) -> np.ndarray:
        """(count,) reduction of variance in each column; 0 where it is constant over all or unknown."""
        inside = self._variance(column[self.known], count)
        if self.constant:
            return np.zeros(count)
        reduction: np.ndarray = np.nan_to_num(1 - inside / self.total, nan=0.0)
        return reduction

    def shift(self, column: np.ndarray, count: int) -> np.ndarray:
        """(count,) distance of each column's mean from that of all, in standard deviations; 0 if unknown."""
        column, everywhere = column[self.known], np.zeros(np.count_nonzero(self.known), np.int64)
        if self.constant:
            return np.zeros(count)
        with np.errstate(divide="ignore", invalid="ignore"):
            n, first, second = self._sums(column, count)
            of_all, first_of_all, second_of_all = self._sums(everywhere, 1)
            if self.circular:
                turn = np.arctan2(second, first) - np.arctan2(second_of_all, first_of_all)
                away = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
                spread = np.sqrt(-2 * np.log(1 - self.total))
            else:
                away, spread = np.abs(first / n - first_of_all / of_all), np.sqrt(self.total)
            return np.where(n > 0, away / spread, 0.0)

    def _sums(self, column: np.ndarray, count: int) -> list[np.ndarray]:
        """(count,) numbers of values, and sums of both parts."""
        return [np.bincount(column, weights, count + 1)[:count] for weights in (None, *self.parts)]

    def _variance(self, column: np.ndarray, count: int) -> np.ndarray:
        """(count,) sample or circular variance; NaN with fewer than two values."""
        n, first, second = self._sums(column, count)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.circular:
                return np.where(n > 1, np.maximum(1 - np.hypot(first, second) / n, 0), np.nan)
            return np.where(n > 1, np.maximum(second - first**2 / n, 0) / (n - 1), np.nan)
