"""The distances that clusters are judged by: of a matrix, or of the rows where a matrix would not fit.

Rows give the distances of a block of pairs at a time, each within 1e-5 of the exact one, and no more than a
block is held. What is added up over all pairs takes the time of the matrix, in O(N D) memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np

from hudd.clustering.chain import kernel
from hudd.clustering.linkage import condensed_at, count_points
from hudd.clustering.vectors import linkage_vectors
from hudd.clustering.wicd import add_children, cluster_sums, leaves, tree_sums
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.distances.threads import strips
from hudd.progress import progress

Source = Literal["matrix", "rows"]
_STRIP, _BLOCK = 1024, 16384  # rows and columns of the distances taken at a time: 64 MiB
_READ = 1 << 25  # bytes of a file read at a time
_LONG = 10**9  # pairs from which on a bar is worth its line


class Pairs(Protocol):
    """The Euclidean distances of N items."""

    def __len__(self) -> int:
        """N."""

    def linkage(self, linked: Any) -> np.ndarray:
        """Return SciPy's linkage matrix by a clusterer that makes one."""

    def tree_sums(self, z: np.ndarray) -> np.ndarray:
        """Return the sum of all distances inside the cluster that each merge makes, (N - 1,) float64."""

    def cluster_sums(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each item's distances to its cluster, (N,), and all of each cluster, (k,), see wicd.cluster_sums."""

    def mean(self) -> float:
        """Return the mean distance of two items; 0 for a single one."""

    def among(self, items: np.ndarray) -> np.ndarray:
        """Return the condensed distances of some items, ascending, (m (m - 1) / 2,)."""

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the distance of each of some items to another one, both (p,); 0 to itself."""

    def subset(self, items: np.ndarray) -> Pairs:
        """Return the distances of some items, ascending, among each other."""


@dataclass(frozen=True)
class Matrix:
    """Distances in a condensed matrix, (N (N - 1) / 2,), upper triangle by rows."""

    condensed: np.ndarray

    def __len__(self) -> int:
        return count_points(self.condensed)

    def linkage(self, linked: Any) -> np.ndarray:
        """See :meth:`Pairs.linkage`."""
        z: np.ndarray = linked.linkage(self.condensed)
        return z

    def tree_sums(self, z: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.tree_sums`."""
        return tree_sums(self.condensed, z)

    def cluster_sums(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Pairs.cluster_sums`."""
        return cluster_sums(self.condensed, labels)

    def mean(self) -> float:
        """See :meth:`Pairs.mean`."""
        return float(self.condensed.mean(dtype=np.float64)) if len(self.condensed) else 0.0

    def among(self, items: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.among`."""
        if len(items) == len(self):
            return self.condensed
        first, second = np.triu_indices(len(items), 1)
        found: np.ndarray = self.condensed[condensed_at(len(self), items[first], items[second])]
        return found

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.apart`."""
        found, other = np.zeros(len(first)), first != second
        found[other] = self.condensed[condensed_at(len(self), first[other], second[other])]
        return found

    def subset(self, items: np.ndarray) -> Pairs:
        """See :meth:`Pairs.subset`."""
        return Matrix(self.among(items))


@dataclass
class Rows:
    """Distances of rows, computed when they are asked for.

    Attributes
    ----------
    rows : ndarray or h5py.Dataset, (N, ...)
        One item a row; trailing axes are flattened.
    unit_norm : bool
        Divide each row by its Euclidean norm first.
    device : str or torch.device, optional
        Where they are computed; by default the CPU.
    linked : ndarray, (N - 1, 4) float64, optional
        The rows' linkage by Ward's method, where it is known.
    """

    rows: Any
    unit_norm: bool = False
    device: Any = None
    linked: np.ndarray | None = None
    _mean: float | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def linkage(self, linked: Any) -> np.ndarray:
        """See :meth:`Pairs.linkage`; for Ward's method alone, see :func:`hudd.clustering.clusterers.works_on_rows`."""
        if self.linked is not None:
            return self.linked
        return linkage_vectors(self.rows, linked.method, unit_norm=self.unit_norm, device=self.device)

    def tree_sums(self, z: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.tree_sums`; O(N^2 D) time."""
        order, gaps = leaves(z)
        ordered, sums = self._taken(order), np.zeros(len(z))
        n = len(order)
        bar = (
            progress("WICD", n * (n - 1) // 2, "pairs")
            if n * n > 2 * _LONG
            else nullcontext(lambda count: None)
        )
        with bar as advance:
            for strip in strips(0, n, _STRIP):
                merge = np.full(strip.stop - strip.start, -1)
                for block in strips(strip.start, n, _BLOCK):
                    distances = self._between(ordered[strip], ordered[block])
                    advance(_add(distances, strip.start, block.start, gaps, merge, sums))
        add_children(z, sums)
        self._mean = float(sums[-1]) / (n * (n - 1) // 2) if n > 1 else 0.0
        return sums

    def cluster_sums(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Pairs.cluster_sums`; O(m^2 D) time for a cluster of m."""
        k = int(labels.max())
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=k + 1))
        sums, totals = np.zeros(len(labels)), np.zeros(k)
        ordered = self._taken(order)
        for cluster, (start, stop) in enumerate(pairwise(ends.tolist())):
            if stop - start > 1:
                own = np.zeros(stop - start)
                for strip in strips(start, stop, _STRIP):
                    for block in strips(start, stop, _BLOCK):
                        distances = self._between(ordered[strip], ordered[block])
                        own[strip.start - start : strip.stop - start] += distances.sum(1, dtype=np.float64)
                sums[order[start:stop]], totals[cluster] = own, own.sum() / 2
        return sums, totals

    def mean(self) -> float:
        """See :meth:`Pairs.mean`; O(N^2 D) time unless the sums of a tree are known."""
        if self._mean is None:
            everything = self.cluster_sums(np.ones(len(self), np.int64))[1][0]
            self._mean = float(everything) / max(len(self) * (len(self) - 1) // 2, 1)
        return self._mean

    def among(self, items: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.among`."""
        rows = self._taken(items)
        return pairwise_distances(rows, condensed=True, unit_norm=self.unit_norm, device=self.device)

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """See :meth:`Pairs.apart`."""
        found, (others, place) = np.empty(len(first)), np.unique(second, return_inverse=True)
        right, order = self._flat(self._taken(others)), np.argsort(first, kind="stable")
        for block, part in self._blocks(first[order]):
            at = order[part]
            left = self._flat(self.rows[block][first[at] - block.start])
            found[at] = np.linalg.norm(left - right[place[at]], axis=1)
        return found

    def subset(self, items: np.ndarray) -> Pairs:
        """See :meth:`Pairs.subset`."""
        return Rows(self._taken(items), self.unit_norm, self.device)

    def _flat(self, rows: np.ndarray) -> np.ndarray:
        flat = np.asarray(rows, np.float64).reshape(len(rows), -1)
        return unit_norm_rows(flat) if self.unit_norm else flat

    def _between(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return pairwise_distances(left, right, unit_norm=self.unit_norm, device=self.device)

    def _taken(self, items: np.ndarray) -> np.ndarray:
        """Return some rows, (m, ...), read in blocks where they are in a file."""
        if isinstance(self.rows, np.ndarray):
            in_memory: np.ndarray = self.rows[items]
            return in_memory
        taken = np.empty((len(items), *self.rows.shape[1:]), self.rows.dtype)
        order = np.argsort(items, kind="stable")
        for block, part in self._blocks(items[order]):
            taken[order[part]] = self.rows[block][items[order[part]] - block.start]
        return taken

    def _blocks(self, ascending: np.ndarray) -> Iterator[tuple[slice, slice]]:
        """Yield ranges of the rows that hold some of those wanted, and which of these they hold."""
        size = max(
            1, _READ // max(1, self.rows.dtype.itemsize * int(np.prod(self.rows.shape[1:], dtype=np.int64)))
        )
        for block in strips(0, len(self), size):
            start, stop = np.searchsorted(ascending, (block.start, block.stop)).tolist()
            if start < stop:
                yield slice(int(ascending[start]), int(ascending[stop - 1]) + 1), slice(start, stop)


def as_pairs(distances: Any) -> Pairs:
    """Return condensed distances as pairs, and pairs as they are."""
    return Matrix(distances) if isinstance(distances, np.ndarray) else distances


@kernel
def _add(
    distances: np.ndarray, row: int, column: int, gaps: np.ndarray, merge: np.ndarray, sums: np.ndarray
) -> int:
    """Add a block of distances to the merges in which their leaves meet; return the number of pairs.

    The block is that of the leaves `row` on and the leaves `column` on, of those pairs that ascend. Two leaves meet in
    the last merge of those between neighbours from one to the other, `gaps`; `merge` holds it for each row's last pair.
    """
    pairs = 0
    for i in range(len(distances)):
        own, total = merge[i], 0.0
        for j in range(max(0, row + i + 1 - column), distances.shape[1]):
            if gaps[column + j - 1] > own:
                if own >= 0:
                    sums[own] += total
                own, total = gaps[column + j - 1], 0.0
            total += distances[i, j]
            pairs += 1
        if own >= 0:
            sums[own] += total
        merge[i] = own
    return pairs
