"""A dendrogram of distances, and where it is cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from hudd.clustering.knee import knee_cut
from hudd.clustering.pairs import Matrix, Pairs
from hudd.clustering.result import Clustering, describe
from hudd.clustering.wicd import flat_labels, tree_sums
from hudd.errors import HuddError, UsageError
from hudd.lazy import distance, hierarchy
from hudd.presets import Preset

_MOST = 1_000_000  # clusters


@dataclass(frozen=True)
class Cut:
    """Where a dendrogram is cut: at the knee of the gradient of its WICD curve, or into a number of clusters.

    Attributes
    ----------
    most : int
        Largest number of clusters tried, where half of the rows is not less.
    last : int, optional
        Largest number of clusters tried, in place of half of the rows.
    size : int, optional
        Rows of a cluster on average: in place of the knee, so many clusters as that makes.
    number : int, optional
        So many clusters, in place of all others.
    profiles : bool
        Link the rows of the row-scaled distance matrix, as the authors do, in place of the distances.
    row_scaled : bool
        Take the WICD curve on the row-scaled distances.
    """

    most: int = 500
    last: int | None = None
    size: int | None = None
    number: int | None = None
    profiles: bool = False
    row_scaled: bool = False

    @classmethod
    def of(cls, preset: Preset, max_clusters: int | None, cluster_size: int | None) -> Cut:
        """Return a preset's cut, with numbers in place of its own.

        Raises
        ------
        UsageError
            If a number is not allowed.
        """
        if max_clusters is not None and not 2 <= max_clusters <= _MOST:
            raise UsageError(f"max_clusters is {max_clusters}; give 2 to {_MOST:,}, or leave it out.")
        if cluster_size is not None and cluster_size < 2:
            raise UsageError(f"cluster_size is {cluster_size}; give at least 2, or leave it out.")
        alone = cluster_size is not None and max_clusters is None  # the size says how many
        return cls(
            most=_MOST if alone else preset.max_clusters,
            last=max_clusters,
            size=preset.cluster_size if cluster_size is None else cluster_size,
            profiles=preset.linkage_on == "profiles",
            row_scaled=preset.linkage_on == "profiles" and preset.wicd_on == "row-scaled",
        )

    def apply(self, pairs: Pairs, linked: Any) -> Clustering:
        """Link items and cut the dendrogram.

        Parameters
        ----------
        pairs : Pairs
            Their distances, (N (N - 1) / 2,).
        linked : object
            With ``linkage``, see :class:`hudd.clustering.clusterers.Clusterer`.
        """
        n = len(pairs)
        z, scaled = self._dendrogram(pairs, n, linked)
        if self.number is not None:
            return replace(describe(pairs, flat_labels(z, self.number)), linkage=z)
        sums = pairs.tree_sums(z) if scaled is None else tree_sums(scaled, z)
        ks = self._range(n) if sums.any() else np.empty(0, np.int64)
        labels, curve, slope = knee_cut(sums, z, ks)
        if self.size is not None and len(ks):
            labels = flat_labels(z, min(max(ceil(n / self.size), 2), int(ks[-1])))
        return replace(describe(pairs, labels), ks=ks, wicd_curve=curve, gradient=slope, linkage=z)

    def _range(self, n: int) -> np.ndarray:
        """Return the numbers of clusters to try."""
        last = self.last or min(n // 2, self.most)
        if self.profiles and n > 1:
            last = max(last, 2)  # the authors' range always holds 2 and may exceed N
        elif not self.profiles:
            last = min(last, n - 1)
        return np.arange(2, last + 1)

    def _dendrogram(self, pairs: Pairs, n: int, linked: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the linkage matrix, and the condensed distances that WICD is taken on where they are others."""
        if n == 1:
            return np.empty((0, 4)), None
        method = getattr(linked, "method", None)
        if not (self.profiles and method and isinstance(pairs, Matrix)):
            return _checked(pairs.linkage(linked), n, linked), None
        scaled = row_scaled(pairs.condensed)
        # SciPy's own, in float64 and with its leaf order: the labels must be the authors'.
        z = hierarchy.linkage(distance.pdist(scaled), method, optimal_ordering=True)
        return z, scaled[np.triu_indices(n, 1)] if self.row_scaled else None


def row_scaled(condensed: np.ndarray) -> np.ndarray:
    """Return the square matrix whose rows are divided by their largest distance, (N, N) float64.

    Not symmetric. Rows of zeros stay zero.
    """
    square = distance.squareform(condensed.astype(np.float64))
    largest = square.max(axis=1, keepdims=True)
    scaled: np.ndarray = square / np.where(largest > 0, largest, 1.0)
    return scaled


def _checked(z: Any, n: int, linked: Any) -> np.ndarray:
    """Refuse what is not a linkage matrix of `n` rows."""
    found = np.asarray(z, np.float64)
    if found.shape != (n - 1, 4) or not hierarchy.is_valid_linkage(found) or (np.diff(found[:, 2]) < 0).any():
        raise HuddError(
            f"linkage of {type(linked).__name__} returned shape {found.shape} for {n} rows; it must return SciPy's "
            f"linkage matrix, ({n - 1}, 4), heights ascending."
        )
    return found
