"""How far each improvement image is from each cluster, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.distances import pairwise_distances
from hudd.errors import UsageError


@dataclass(frozen=True)
class ClosestMembers:
    """Distance of M images to the closest member of each of k clusters.

    Attributes
    ----------
    clusters : np.ndarray
        (k,) int64 cluster labels in order of their first appearance; labels below 1 (noise) have no column.
    size : np.ndarray
        (k,) int64 number of members.
    distance : np.ndarray
        (M, k) floating, Euclidean distance to the closest member.
    member : np.ndarray
        (M, k) int64 row of that member.
    reach : np.ndarray
        (k,) float64 the largest distance of a member to its own closest fellow member; 0 for a cluster of
        one, NaN where it is not known. An image farther away than this lies outside its cluster.
    """

    clusters: np.ndarray
    size: np.ndarray
    distance: np.ndarray
    member: np.ndarray
    reach: np.ndarray

    @classmethod
    def from_matrix(cls, distances: np.ndarray, labels: np.ndarray) -> ClosestMembers:
        """Reduce an (M, N) matrix of distances to all N members; the reach stays unknown.

        An (M, k) matrix is taken as already reduced, its columns in order of the clusters' first
        appearance; `member` is then -1. (With k = N every cluster is a singleton, so the two readings agree.)
        """
        distances = np.asarray(distances)
        clusters, size = cluster_sizes(labels)
        n, k = len(np.asarray(labels)), len(clusters)
        if distances.ndim != 2 or distances.shape[1] not in (n, k):
            raise UsageError(
                f"the distances have shape {distances.shape}; give one row an image and one column for each "
                f"of the {n} members, or for each of the {k} clusters in order of first appearance."
            )
        unknown = np.full(k, np.nan)
        if distances.shape[1] == k:
            return cls(clusters, size, distances, np.full(distances.shape, -1, np.int64), unknown)
        distance, member = _reduce(distances, np.asarray(labels), clusters)
        return cls(clusters, size, distance, member, unknown)


def cluster_sizes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels from 1 in order of first appearance and their counts: two (k,) int64 arrays."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"cluster labels must be a vector of integers, not {labels.dtype} of shape {labels.shape}."
        )
    clusters, first, size = np.unique(labels, return_index=True, return_counts=True)
    order = np.argsort(first)
    order = order[clusters[order] >= 1]
    return clusters[order].astype(np.int64), size[order].astype(np.int64)


def closest_members(
    images: Any,
    members: Any,
    labels: np.ndarray,
    *,
    unit_norm: bool = False,
    reach: bool = True,
    memory: int = 1 << 30,
) -> ClosestMembers:
    """Stream improvement heatmaps past the clusters and keep each image's closest member of each cluster.

    Neither the improvement heatmaps nor the pairs are ever held as a whole: memory is that of one block, of
    the members (or `memory` bytes of them at a time) and of the (M, k) result.

    Parameters
    ----------
    images : array-like or iterable of array-like
        Improvement heatmaps: one (M, ...) array or HDF5 dataset, or an iterable of blocks (b, ...).
    members : array-like
        (N, ...) heatmaps of the error images, an array or an HDF5 dataset, same trailing shape as the images.
    labels : np.ndarray
        (N,) int, each member's cluster from 1; members with a label below 1 belong to none.
    unit_norm : bool
        Divide every heatmap by its Euclidean norm first.
    reach : bool
        Whether to measure the clusters' reach too; calls for further parts of a set need not do it again.
    memory : int
        Bytes of heatmaps to hold at a time on either side.

    Returns
    -------
    ClosestMembers

    Raises
    ------
    UsageError
        If the shapes do not fit each other or there is no cluster.
    """
    labels = np.asarray(labels)
    clusters, size = cluster_sizes(labels)
    if len(labels) != len(members):
        raise UsageError(
            f"there are {len(members)} member heatmaps but {len(labels)} cluster labels; give one a member."
        )
    if not len(clusters):
        raise UsageError("no error image belongs to a cluster; cluster the errors before selecting.")
    row = np.asarray(members[:1])
    rows = max(1, memory // max(1, row.size * 4))
    resident = np.asarray(members[:]) if len(members) <= rows else None

    distances, nearest = [], []
    for block in _blocks(images, rows):
        if block.shape[1:] != row.shape[1:]:
            raise UsageError(
                f"improvement heatmaps have shape {block.shape[1:]} but the members have {row.shape[1:]}; "
                "take both at the same layer with the same pooling."
            )
        best = np.full((len(block), len(clusters)), np.inf, np.float32)
        member = np.full(best.shape, -1, np.int64)
        for start in range(0, len(members), rows):
            part = slice(start, start + rows)
            chunk = members[part] if resident is None else resident
            pairs = pairwise_distances(block, chunk, unit_norm=unit_norm)
            distance, index = _reduce(pairs, labels[part], clusters)
            closer = distance < best
            best[closer], member[closer] = distance[closer], index[closer] + start
        distances.append(best)
        nearest.append(member)

    held = members if resident is None else resident
    reaches = [_reach(held, np.flatnonzero(labels == c), unit_norm) if reach else np.nan for c in clusters]
    empty = np.empty((0, len(clusters)))
    return ClosestMembers(
        clusters,
        size,
        np.concatenate(distances) if distances else empty.astype(np.float32),
        np.concatenate(nearest) if nearest else empty.astype(np.int64),
        np.array(reaches),
    )


def _blocks(images: Any, rows: int) -> Iterator[np.ndarray]:
    """Yield the images in blocks: slices of an array or dataset, or an iterable's own."""
    if hasattr(images, "shape"):
        yield from (np.asarray(images[start : start + rows]) for start in range(0, len(images), rows))
    elif isinstance(images, Iterable):
        yield from map(np.asarray, images)
    else:
        raise UsageError(
            f"improvement heatmaps must be an array or blocks of arrays, not {type(images).__name__}."
        )


def _reduce(distances: np.ndarray, labels: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest distance and its column within each cluster, both (b, k); inf and -1 where none."""
    best = np.full((len(distances), len(clusters)), np.inf, distances.dtype)
    member = np.full(best.shape, -1, np.int64)
    for column, cluster in enumerate(clusters):
        rows = np.flatnonzero(labels == cluster)
        if len(rows):
            index = distances[:, rows].argmin(axis=1)
            member[:, column] = rows[index]
            best[:, column] = distances[np.arange(len(distances)), member[:, column]]
    return best, member


def _reach(members: Any, rows: np.ndarray, unit_norm: bool) -> float:
    """Return the largest of the members' distances to their closest fellow."""
    if len(rows) < 2:
        return 0.0
    distances = pairwise_distances(members[rows], unit_norm=unit_norm)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).max())
