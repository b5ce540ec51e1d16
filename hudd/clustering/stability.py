"""Which clusters to trust: agreement with clusterings of bootstrap samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.clustering.chain import condensed_row, kernel
from hudd.clustering.linkage import Method, check_condensed, count_points, linkage
from hudd.clustering.wicd import flat_labels
from hudd.errors import UsageError
from hudd.progress import progress


@dataclass(frozen=True)
class Stability:
    """Agreement of a clustering with those of bootstrap samples.

    Attributes
    ----------
    overall : ndarray, (resamples,) float64
        Adjusted Rand index of each sample's clustering with the given one.
    clusters : ndarray, (k,) float64
        For each cluster, the adjusted Rand index of its membership with that of the best-matching
        cluster, averaged over the samples that hold one of its rows: near 1 the cluster is found again,
        near 0 it dissolves. NaN for a cluster that no sample held.
    """

    overall: np.ndarray
    clusters: np.ndarray


@kernel
def _subset(condensed: np.ndarray, n: int, rows: np.ndarray, out: np.ndarray) -> None:
    """Write the condensed distances among `rows`, ascending."""
    to = 0
    for a in range(len(rows)):
        base = condensed_row(n, rows[a])
        for b in range(a + 1, len(rows)):
            out[to] = condensed[base + rows[b]]
            to += 1


def adjusted_rand(both: Any, first: Any, second: Any, n: int) -> np.ndarray:
    """Return the adjusted Rand index from numbers of pairs (L. Hubert, P. Arabie, J. Classif. 2, 1985).

    Parameters
    ----------
    both, first, second : array_like
        Pairs of rows together in both clusterings, in the first, in the second.
    n : int
        Number of rows.

    Returns
    -------
    ndarray
        1 where both clusterings are trivial in the same way.
    """
    expected = np.multiply(first, second) / (n * (n - 1) / 2)
    highest = np.add(first, second) / 2
    room = highest - expected
    return np.where(room == 0, 1.0, (both - expected) / np.where(room == 0, 1.0, room))


def _pairs(counts: np.ndarray) -> np.ndarray:
    pairs: np.ndarray = counts * (counts - 1) / 2
    return pairs


def _agreement(old: np.ndarray, new: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Return the overall index and each old cluster's best one; NaN where the sample holds none of it."""
    n = len(old)
    table = np.zeros((k, int(new.max())))
    np.add.at(table, (old - 1, new - 1), 1)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    overall = adjusted_rand(_pairs(table).sum(), _pairs(rows).sum(), _pairs(columns).sum(), n)
    # Cluster against cluster: each is a split into inside and outside.
    outside = n - rows[:, None] - columns + table
    cells = (table, rows[:, None] - table, columns - table, outside)
    both = sum(_pairs(cell) for cell in cells)
    first, second = _pairs(rows) + _pairs(n - rows), _pairs(columns) + _pairs(n - columns)
    best = adjusted_rand(both, first[:, None], second[None], n).max(axis=1)
    return float(overall), np.where(rows > 0, best, np.nan)


def stability(
    distances: Any, labels: np.ndarray, *, seed: int, resamples: int = 50, method: Method = "ward"
) -> Stability:
    """Cluster bootstrap samples to as many clusters and compare.

    Each sample draws N rows with replacement and keeps the different ones, about 63 %.

    Parameters
    ----------
    distances : array_like, shape (N (N - 1) / 2,)
        Condensed distances.
    labels : ndarray, (N,) int
        Clusters 1 to k.
    seed : int
        Seed of the draws.
    resamples : int
        Number of samples.
    method : str
        Linkage, see :func:`hudd.clustering.linkage`.

    Raises
    ------
    UsageError
        If lengths disagree, N is below 2, a label or `resamples` below 1.
    """
    condensed = check_condensed(distances)
    n, labels = count_points(condensed), np.asarray(labels, np.int64)
    if n != len(labels) or n < 2:
        raise UsageError(f"there are {len(labels)} labels for {n} rows; pass as many, at least 2.")
    if labels.min() < 1:
        raise UsageError(
            f"a label is {labels.min()}; clusters are numbered from 1, and rows of no cluster are to be left out."
        )
    if resamples < 1:
        raise UsageError(f"resamples is {resamples}; give at least 1.")
    k = int(labels.max())
    overall, clusters = np.empty(resamples), np.empty((resamples, k))
    rng = np.random.default_rng(seed)
    part = np.empty(n * (n - 1) // 2, np.float32)
    with progress("stability", resamples, "samples") as advance:
        for turn in range(resamples):
            rows = np.unique(rng.integers(0, n, n))
            if len(rows) < 2:
                rows = np.arange(2)
            size = len(rows) * (len(rows) - 1) // 2
            _subset(condensed, n, rows, part[:size])
            found = flat_labels(linkage(part[:size], method, overwrite=True), k)
            overall[turn], clusters[turn] = _agreement(labels[rows], found, k)
            advance(1)
    held = np.isfinite(clusters)
    means = np.where(held, clusters, 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
    return Stability(overall, np.where(held.any(axis=0), means, np.nan))
