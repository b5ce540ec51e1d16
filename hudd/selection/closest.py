"""How far each improvement image is from each cluster, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hudd.distances import pairwise_distances
from hudd.errors import UsageError

Link = Literal["closest", "medoid", "mean"]
Chunks = Iterable[tuple[slice, np.ndarray]]  # members and the (b, n) distances to them
Reduced = tuple[np.ndarray, np.ndarray]
_ROWS = 4096
_PAIRS = 1 << 24  # distances inside a cluster that are held at a time


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
        if distances.dtype.kind not in "fiub":
            raise UsageError(f"the distances are of type {distances.dtype}; give real numbers.")
        distances = distances if distances.dtype.kind == "f" else distances.astype(np.float64)
        clusters, size = cluster_sizes(labels)
        n, k = len(np.asarray(labels)), len(clusters)
        if distances.ndim != 2 or distances.shape[1] not in (n, k):
            raise UsageError(
                f"the distances have shape {distances.shape}; give one row per image and one column for each "
                f"of the {n} members, or for each of the {k} clusters in order of first appearance."
            )
        unknown = np.full(k, np.nan)
        if distances.shape[1] == k:
            return cls(clusters, size, distances, np.full(distances.shape, -1, np.int64), unknown)
        whole = [(slice(0, n), distances)]
        distance, member = _closest(whole, np.asarray(labels), clusters, len(distances))
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


def over_reach(distance: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Distances over reaches, float64: 0 where both are 0, infinity where only the reach is, NaN if it is unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = distance.astype(np.float64) / reach
    return np.where((reach == 0) & (distance == 0), 0.0, ratio)


def closest_members(
    images: Any,
    members: Any,
    labels: np.ndarray,
    *,
    link: Link = "closest",
    unit_norm: bool = False,
    reach: bool = True,
    memory: int = 1 << 28,
) -> ClosestMembers:
    """Stream improvement heatmaps past the clusters and keep each image's distance to each cluster.

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
    link : {"closest", "medoid", "mean"}
        Distance to the closest member, as the method has it, to the medoid, or the mean over all members.
        The reach follows: the largest distance of a member to its closest fellow, the largest to the medoid,
        or the mean distance inside the cluster. An image within the reach by ``mean`` is one that does not
        make the cluster's mean distance grow.
    unit_norm : bool
        Divide every heatmap by its Euclidean norm first.
    reach : bool
        Whether to measure the clusters' reach too; calls for further parts of a set need not do it again.
    memory : int
        Bytes of heatmaps to hold at a time on either side, and of distances.

    Returns
    -------
    ClosestMembers
        `member` is the medoid under that link, and -1 under ``mean``.

    Raises
    ------
    UsageError
        If the shapes do not fit each other, there is no cluster or no such link.
    """
    labels = np.asarray(labels)
    clusters, size = cluster_sizes(labels)
    if len(labels) != len(members):
        raise UsageError(
            f"there are {len(members)} member heatmaps but {len(labels)} cluster labels; give one per member."
        )
    if not len(clusters):
        raise UsageError("no error image belongs to a cluster; cluster the errors before selecting.")
    if link not in ("closest", "medoid", "mean"):
        raise UsageError(f"link '{link}' is unknown; choose one of: closest, medoid, mean.")
    row = np.asarray(members[:1])
    rows = max(1, memory // max(1, row.size * 4))
    if len(members) <= rows:
        members = np.asarray(members[:])

    reaches, medoids = np.full(len(clusters), np.nan), np.zeros(len(clusters), np.int64)
    if reach or link == "medoid":
        reaches, medoids = _reaches_and_medoids(members, labels, clusters, link, unit_norm)
    if link == "medoid":
        only = np.isin(np.arange(len(labels)), medoids)
        members, labels, place = members[only], labels[only], np.flatnonzero(only)
    else:
        place = np.arange(len(labels))

    parts = [(np.empty((0, len(clusters)), np.float32), np.empty((0, len(clusters)), np.int64))]
    for block in heatmap_blocks(images, row.shape[1:], rows):
        width = min(rows, max(1, memory // 4 // max(1, len(block))))  # distances take as much, too
        pieces = [slice(start, start + width) for start in range(0, len(members), width)]
        chunks = ((piece, pairwise_distances(block, members[piece], unit_norm=unit_norm)) for piece in pieces)
        if link == "mean":
            parts.append(_mean(chunks, labels, clusters, len(block)))
        else:
            distance, member = _closest(chunks, labels, clusters, len(block))
            parts.append((distance.astype(np.float32), place[member]))
    distance, member = (np.concatenate(arrays) for arrays in zip(*parts))
    return ClosestMembers(
        clusters, size, distance, member, reaches if reach else np.full(len(clusters), np.nan)
    )


def _reaches_and_medoids(
    members: Any, labels: np.ndarray, clusters: np.ndarray, link: Link, unit_norm: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Reach, (k,) float64, and row of the medoid, (k,) int64, of each cluster."""
    reaches, medoids = np.empty(len(clusters)), np.empty(len(clusters), np.int64)
    for i, cluster in enumerate(clusters):
        inside = np.flatnonzero(labels == cluster)
        reaches[i], medoid = _reach_and_medoid(members[inside], link, unit_norm)
        medoids[i] = inside[medoid]
    return reaches, medoids


def _reach_and_medoid(rows: np.ndarray, link: Link, unit_norm: bool) -> tuple[float, int]:
    """How far the members of a cluster are, 0 for a cluster of one, and which is the medoid; by blocks of pairs."""
    n = len(rows)
    sums, nearest = np.zeros(n), np.full(n, np.inf)
    step = max(1, _PAIRS // n)
    for start in range(0, n, step):
        part = slice(start, start + step)
        pairs = pairwise_distances(rows[part], rows if n > step else None, unit_norm=unit_norm)
        sums[part] = pairs.sum(axis=1, dtype=np.float64)
        pairs[np.arange(len(pairs)), np.arange(start, start + len(pairs))] = np.inf
        nearest[part] = pairs.min(axis=1)
    medoid = int(sums.argmin())
    if n < 2:
        return 0.0, medoid
    if link == "mean":
        return float(sums.sum() / (n * (n - 1))), medoid
    if link == "medoid":
        own = rows[medoid : medoid + 1]
        return float(pairwise_distances(own, rows, unit_norm=unit_norm).max()), medoid
    return float(nearest.max()), medoid


def heatmap_blocks(images: Any, shape: tuple[int, ...], rows: int) -> Iterator[np.ndarray]:
    """Yield heatmaps of the shape in blocks of up to `rows`; small blocks of an iterable are joined."""
    if hasattr(images, "shape"):
        blocks: Iterator[np.ndarray] = (
            np.asarray(images[start : start + rows]) for start in range(0, len(images), rows)
        )
    elif isinstance(images, Iterable):
        blocks = _joined(map(np.asarray, images), min(rows, _ROWS))
    else:
        raise UsageError(
            f"improvement heatmaps must be an array or blocks of arrays, not {type(images).__name__}."
        )
    for block in blocks:
        if block.shape[1:] != shape:
            raise UsageError(
                f"improvement heatmaps have shape {block.shape[1:]} but the test images' have {shape}; "
                "take both at the same layer with the same pooling."
            )
        yield block


def _joined(blocks: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Join blocks up to `rows`, for one large product is faster than many small ones."""
    waiting: list[np.ndarray] = []
    for block in blocks:
        if waiting and sum(map(len, waiting)) + len(block) > rows:
            yield np.concatenate(waiting)
            waiting = []
        waiting.append(block)
    if waiting:
        yield np.concatenate(waiting)


def _closest(chunks: Chunks, labels: np.ndarray, clusters: np.ndarray, count: int) -> Reduced:
    """Smallest distance and its column within each cluster, both (b, k)."""
    best, member = np.full((count, len(clusters)), np.inf), np.full((count, len(clusters)), -1, np.int64)
    for piece, distances in chunks:
        for column, cluster in enumerate(clusters):
            rows = np.flatnonzero(labels[piece] == cluster)
            if len(rows):
                index = rows[distances[:, rows].argmin(axis=1)]
                distance = distances[np.arange(count), index]
                closer = ~(distance >= best[:, column])  # so that NaN is not lost
                best[closer, column], member[closer, column] = distance[closer], index[closer] + piece.start
    return best, member


def _mean(chunks: Chunks, labels: np.ndarray, clusters: np.ndarray, count: int) -> Reduced:
    """Mean distance to the members of each cluster, (b, k), and -1 for the member."""
    total = np.zeros((count, len(clusters)))
    for piece, distances in chunks:
        total += distances @ (labels[piece, None] == clusters)
    mean = total / (labels[:, None] == clusters).sum(axis=0)
    return mean.astype(np.float32), np.full(mean.shape, -1, np.int64)
