"""Weighted intra-cluster distance (WICD) of every cut of a dendrogram, in one walk over its merges."""

from __future__ import annotations

import numpy as np

from hudd.clustering.chain import condensed_row, kernel
from hudd.lazy import hierarchy


@kernel
def _pair_sums(condensed: np.ndarray, z: np.ndarray, sums: np.ndarray) -> None:
    """Write the sum of the distances between the two clusters of each merge to `sums`, (n - 1,) float64.

    Leaves are put in dendrogram order, so a cluster is a range. From leaf i up to the root, the sibling at
    each step holds just the leaves that meet i in that merge.
    """
    n = len(z) + 1
    first = np.zeros(2 * n - 1, np.int64)
    parent = np.full(2 * n - 1, -1)
    size = np.ones(2 * n - 1, np.int64)
    for k in range(n - 1):
        size[n + k] = np.int64(z[k, 3])
    for k in range(n - 2, -1, -1):
        left, right = np.int64(z[k, 0]), np.int64(z[k, 1])
        first[left], first[right] = first[n + k], first[n + k] + size[left]
        parent[left] = parent[right] = n + k
    order = np.empty(n, np.int64)
    for i in range(n):
        order[first[i]] = i
    sums[:] = 0.0
    for i in range(n):
        row, node = condensed_row(n, i), i
        while parent[node] >= 0:
            up = parent[node]
            sibling = np.int64(z[up - n, 0]) + np.int64(z[up - n, 1]) - node
            total = 0.0
            for at in range(first[sibling], first[sibling] + size[sibling]):
                if order[at] > i:
                    total += condensed[row + order[at]]
            sums[up - n] += total
            node = up


@kernel
def add_children(z: np.ndarray, sums: np.ndarray) -> None:
    """Add to what each merge has of its own, `sums`, (n - 1,), all that the merges below it have."""
    n = len(z) + 1
    for k in range(n - 1):
        for side in range(2):
            child = np.int64(z[k, side])
            if child >= n:
                sums[k] += sums[child - n]


@kernel
def leaves(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the leaves in dendrogram order, (n,), and the merge in which each meets the one after it, (n - 1,)."""
    n = len(z) + 1
    first = np.zeros(2 * n - 1, np.int64)
    size = np.ones(2 * n - 1, np.int64)
    gaps = np.empty(n - 1, np.int64)
    for k in range(n - 1):
        size[n + k] = np.int64(z[k, 3])
    for k in range(n - 2, -1, -1):
        left, right = np.int64(z[k, 0]), np.int64(z[k, 1])
        first[left], first[right] = first[n + k], first[n + k] + size[left]
        gaps[first[right] - 1] = k
    order = np.empty(n, np.int64)
    for i in range(n):
        order[first[i]] = i
    return order, gaps


def tree_sums(condensed: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the sum of all distances inside the cluster that each merge makes, (N - 1,) float64."""
    sums = np.empty(len(z))
    _pair_sums(condensed, z, sums)
    add_children(z, sums)
    return sums


def wicd_curve(sums: np.ndarray, z: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Compute WICD for every k at once.

    ``WICD(k) = sum_c n_c / N * ICD_c / (number of clusters)``, where ``ICD_c`` is the mean distance over
    the pairs inside cluster c, 0 for a singleton. A cut is SciPy's ``maxclust``: the lowest one with at
    most k clusters; with tied heights they may be fewer.

    Parameters
    ----------
    sums : ndarray, (N - 1,) float64
        All distances inside the cluster that each merge makes, see :func:`tree_sums`; for the authors' asymmetric
        variant those of the upper triangle of the row-scaled matrix.
    z : ndarray, (N - 1, 4) float64
        SciPy's linkage matrix, heights not falling.
    ks : ndarray, (K,) int
        Numbers of clusters, at least 2.

    Returns
    -------
    ndarray, (K,) float64
        In the units of the distances. O(N) time for all k together; :func:`tree_sums` takes O(N^2).
    """
    n = len(z) + 1
    # n_c ICD_c of every node of the dendrogram, then what each merge changes of their sum.
    weighted = np.concatenate((np.zeros(n), 2.0 * sums / (z[:, 3] - 1.0)))
    changes = weighted[n:] - weighted[z[:, :2].astype(np.int64)].sum(axis=1)
    totals = np.concatenate(((0.0,), np.cumsum(changes)))
    merges = cut_merges(z, ks)
    wicd: np.ndarray = np.maximum(totals[merges], 0.0) / n / (n - merges)
    return wicd


def cut_merges(z: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Return how many merges the lowest cut with at most k clusters applies, for every k."""
    n = len(z) + 1
    last = np.clip(n - 1 - np.asarray(ks), 0, n - 2)
    merges = np.searchsorted(z[:, 2], z[last, 2], side="right")
    return np.where(np.asarray(ks) >= n, 0, merges)


def flat_labels(z: np.ndarray, k: int) -> np.ndarray:
    """Return the flat clusters of SciPy's ``maxclust`` cut, numbered as SciPy does.

    Parameters
    ----------
    z : ndarray, (N - 1, 4) float64
        Linkage matrix.
    k : int
        Largest number of clusters; with tied heights they may be fewer.

    Returns
    -------
    ndarray, (N,) int64
        Labels from 1.
    """
    if not len(z):
        return np.ones(1, np.int64)
    labels: np.ndarray = hierarchy.fcluster(z, k, criterion="maxclust").astype(np.int64)
    return labels


@kernel
def _member_sums(condensed: np.ndarray, labels: np.ndarray, sums: np.ndarray, totals: np.ndarray) -> None:
    """Sum each row's distances to its own cluster, and all pairs of each cluster (labels from 0)."""
    n = len(labels)
    for i in range(n):
        row = condensed_row(n, i)
        for j in range(i + 1, n):
            if labels[i] == labels[j]:
                sums[i] += condensed[row + j]
                sums[j] += condensed[row + j]
                totals[labels[i]] += condensed[row + j]


def cluster_sums(condensed: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum distances inside clusters.

    Parameters
    ----------
    condensed : ndarray, (N (N - 1) / 2,)
        Distances.
    labels : ndarray, (N,) int64
        Clusters 1 to k.

    Returns
    -------
    sums : ndarray, (N,) float64
        Each row's distances to the members of its cluster.
    totals : ndarray, (k,) float64
        All pairs of each cluster.
    """
    sums, totals = np.zeros(len(labels)), np.zeros(int(labels.max()))
    _member_sums(condensed, labels - 1, sums, totals)
    return sums, totals


def medoids(sums: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the row of each cluster with the smallest sum of distances to its cluster, (k,) int64.

    The lowest row wins ties.
    """
    order = np.lexsort((np.arange(len(labels)), sums, labels))
    return order[np.searchsorted(labels[order], np.arange(1, int(labels.max()) + 1))]


def wicd(totals: np.ndarray, labels: np.ndarray) -> float:
    """Return WICD of one clustering from the sums over its clusters' pairs, (k,)."""
    sizes = np.bincount(labels, minlength=len(totals) + 1)[1:]
    return float((2.0 * totals / np.maximum(sizes - 1, 1)).sum() / len(labels) / len(totals))
