"""Criteria of a clustering from distances alone, for one clustering or for every cut of a dendrogram.

Sums between rows and clusters and between clusters are taken once, at the finest cut; merging two clusters
adds two rows of them.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from hudd.clustering.chain import condensed_row, kernel
from hudd.clustering.wicd import cut_merges, flat_labels
from hudd.errors import UsageError


@dataclass(frozen=True)
class Criteria:
    """How compact and separate clusters are; arrays of shape (K,) for K cuts.

    Attributes
    ----------
    icd : float
        Mean over the clusters of the mean distance over the pairs inside, 0 for a singleton.
    silhouette : float
        P. Rousseeuw, J. Comput. Appl. Math. 20, 1987; mean over all rows, singletons 0. Higher is better.
    dunn : float
        J. Dunn, J. Cybernetics 3, 1973: least distance between clusters over the largest diameter; infinite
        where all diameters are 0. Higher is better.
    davies_bouldin : float
        D. Davies, D. Bouldin, IEEE TPAMI 1, 1979, for Euclidean distances. Lower is better.
    """

    icd: float | np.ndarray
    silhouette: float | np.ndarray
    dunn: float | np.ndarray
    davies_bouldin: float | np.ndarray


@kernel
def _tabulate(
    condensed: np.ndarray,
    labels: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
) -> None:
    """Sum distances and squares from clusters to rows, (k, N), and find extremes between clusters, (k, k)."""
    n = len(labels)
    for i in range(n):
        row, a = condensed_row(n, i), labels[i]
        for j in range(i + 1, n):
            b, d = labels[j], condensed[row + j]
            sums[a, j] += d
            sums[b, i] += d
            squares[a, j] += d * d
            squares[b, i] += d * d
            least[a, b] = min(least[a, b], d)
            most[a, b] = max(most[a, b], d)
    for a in range(len(sums)):
        for b in range(a):
            least[a, b] = least[b, a] = min(least[a, b], least[b, a])
            most[a, b] = most[b, a] = max(most[a, b], most[b, a])


@kernel
def _evaluate(
    labels: np.ndarray,
    alive: np.ndarray,
    sizes: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
) -> tuple[float, float, float, float]:
    """Return the four criteria of the clusters `alive`; `labels` names each row's."""
    n, k = len(labels), len(alive)
    nearest, scatter, pairs = np.full(n, np.inf), np.zeros(len(sizes)), np.zeros((k, k))
    within = np.zeros(len(sizes))
    for c in range(k):
        a = alive[c]
        for i in range(n):
            if labels[i] != a:
                nearest[i] = min(nearest[i], sums[a, i] / sizes[a])
            else:
                within[a] += sums[a, i]
                pairs[c, c] += squares[a, i]
    for c in range(k):
        pairs[c, c] /= sizes[alive[c]] ** 2
    index = np.zeros(len(sizes), np.int64)
    for c in range(k):
        index[alive[c]] = c
    silhouette = 0.0
    for i in range(n):
        a = labels[i]
        if sizes[a] > 1 and k > 1:
            own = sums[a, i] / (sizes[a] - 1)
            if max(own, nearest[i]) > 0:
                silhouette += (nearest[i] - own) / max(own, nearest[i])
        # Squared distance to the centroid: mean square to the members less half the mean square of pairs.
        scatter[a] += np.sqrt(max(squares[a, i] / sizes[a] - pairs[index[a], index[a]] / 2, 0.0)) / sizes[a]
    for c in range(k):
        a = alive[c]
        for i in range(n):
            if labels[i] != a:
                pairs[c, index[labels[i]]] += squares[a, i] / (sizes[a] * sizes[labels[i]])
    icd = worst = 0.0
    gap, diameter = np.inf, 0.0
    for c in range(k):
        a = alive[c]
        diameter = max(diameter, most[a, a])
        if sizes[a] > 1:
            icd += within[a] / (sizes[a] * (sizes[a] - 1)) / k
        ratio = 0.0
        for e in range(k):
            if e != c:
                gap = min(gap, least[a, alive[e]])
                apart = np.sqrt(max(pairs[c, e] - (pairs[c, c] + pairs[e, e]) / 2, 0.0))
                if apart > 0:
                    ratio = max(ratio, (scatter[a] + scatter[alive[e]]) / apart)
        worst += ratio / k
    return icd, silhouette / n, gap / diameter if diameter > 0 else np.inf, worst


class _Table:
    """The sums, and the clusters that are alive in them."""

    def __init__(self, condensed: np.ndarray, labels: np.ndarray) -> None:
        self.labels = labels - 1
        self.sizes = np.bincount(self.labels).astype(np.float64)
        k, n = len(self.sizes), len(labels)
        self.alive = np.arange(k)
        self.sums, self.squares = np.zeros((k, n)), np.zeros((k, n))
        self.least, self.most = np.full((k, k), np.inf), np.zeros((k, k))
        _tabulate(condensed, self.labels, self.sums, self.squares, self.least, self.most)

    def merge(self, a: int, b: int) -> None:
        """Put cluster `b` into `a`."""
        self.labels[self.labels == b] = a
        self.sums[a] += self.sums[b]
        self.squares[a] += self.squares[b]
        diameter = max(self.most[a, a], self.most[b, b], self.most[a, b])
        for table, pick in ((self.least, np.minimum), (self.most, np.maximum)):
            table[a] = table[:, a] = pick(table[a], table[b])
        self.most[a, a] = diameter
        self.sizes[a] += self.sizes[b]
        self.alive = self.alive[self.alive != b]

    def criteria(self) -> Criteria:
        parts = (self.labels, self.alive, self.sizes, self.sums, self.squares, self.least, self.most)
        return Criteria(*_evaluate(*parts))


def criteria(condensed: np.ndarray, labels: np.ndarray) -> Criteria:
    """Judge one clustering.

    Parameters
    ----------
    condensed : ndarray, (N (N - 1) / 2,)
        Euclidean distances.
    labels : ndarray, (N,) int64
        Clusters 1 to k.

    Raises
    ------
    UsageError
        If lengths disagree or labels are not 1 to k, each in use.
    """
    n = len(labels)
    if len(condensed) != n * (n - 1) // 2 or n == 0:
        raise UsageError(f"{len(condensed)} distances do not belong to {n} labels; pass N (N - 1) / 2 and N.")
    labels = np.asarray(labels, np.int64)
    if labels.min() < 1 or not np.bincount(labels)[1:].all():
        raise UsageError("labels must be 1 to k with every one in use; renumber them.")
    return _Table(condensed, labels).criteria()


def criteria_curve(condensed: np.ndarray, z: np.ndarray, ks: np.ndarray) -> Criteria:
    """Judge the cuts of a dendrogram with at most k clusters, for every k at once.

    One pass over the distances, then O(N k) for each k; 16 N k bytes for the largest k.

    Parameters
    ----------
    condensed : ndarray, (N (N - 1) / 2,)
        Euclidean distances.
    z : ndarray, (N - 1, 4) float64
        SciPy's linkage matrix.
    ks : ndarray, (K,) int
        Numbers of clusters, at least 2.

    Returns
    -------
    Criteria
        Arrays of shape (K,).
    """
    n = len(z) + 1
    merges = cut_merges(z, ks)
    start = int(merges.min())
    table = _Table(condensed, flat_labels(z, n - start))
    member = np.arange(2 * n - 1)  # a row of each node of the dendrogram
    for node, left in enumerate(z[:, 0].astype(np.int64), n):
        member[node] = member[left]
    found = {start: table.criteria()}
    for done in range(start, int(merges.max())):
        left, right = (table.labels[member[int(node)]] for node in z[done, :2])
        table.merge(left, right)
        if (merges == done + 1).any():
            found[done + 1] = table.criteria()
    return Criteria(*(np.array(values) for values in zip(*(astuple(found[m]) for m in merges))))
