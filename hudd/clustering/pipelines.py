"""Other pipelines behind one interface: features, then a reduction, then a clusterer.

M. Attaoui, H. Fahmy, F. Pastore, L. Briand, "Black-box safety analysis and retraining of DNNs based on
feature extraction and clustering", ACM TOSEM 32(3), 2023, cluster transfer features by density.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from sklearn import cluster as sklearn_cluster
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.random_projection import GaussianRandomProjection

from hudd.clustering.knee import choose_radius, knee_cut
from hudd.clustering.linkage import linkage
from hudd.clustering.wicd import flat_labels
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.errors import UsageError
from hudd.presets import Clusterer, Reduction

_MOST_CLUSTERS = 500


@dataclass(frozen=True)
class Grouping:
    """What a pipeline found.

    Attributes
    ----------
    labels : ndarray, (N,) int64
        Cluster of each row, from 1 in order of first appearance; -1 for rows that a density clusterer
        leaves out as noise.
    k : int
        Number of clusters.
    medoids : ndarray, (k,) int64
        Row of each cluster with the smallest sum of distances to its members.
    features : ndarray, (N, d) float32
        What was clustered.
    """

    labels: np.ndarray
    k: int
    medoids: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Pipeline:
    """A way from features to clusters.

    Attributes
    ----------
    reduction : {"none", "pca", "umap", "random-projection"}
        Reduction of the features' dimension; ``umap`` needs the package umap-learn.
    components : int
        Dimensions to keep, at most what rows and features allow.
    clusterer : {"ward", "average", "kmeans", "dbscan", "hdbscan"} or scikit-learn clusterer
        An object with ``fit_predict`` is cloned and used as it is.
    n_clusters : int, optional
        For ward, average and kmeans; by default the knee of the gradient of WICD, kmeans taking Ward's.
    min_samples : int
        For dbscan and hdbscan: neighbours of a core row; smallest cluster of hdbscan. The radius of
        dbscan is the knee of the distances to that neighbour.
    unit_norm : bool
        Divide each row by its Euclidean norm first.
    seed : int
        Seed of whatever draws at random.
    """

    reduction: Reduction = "none"
    components: int = 50
    clusterer: Clusterer | Any = "ward"
    n_clusters: int | None = None
    min_samples: int = 5
    unit_norm: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reduction not in get_args(Reduction):
            raise UsageError(
                f"reduction '{self.reduction}' is unknown; choose one of: {', '.join(get_args(Reduction))}."
            )
        if self.clusterer not in get_args(Clusterer) and not hasattr(self.clusterer, "fit_predict"):
            raise UsageError(
                f"clusterer {self.clusterer!r} is unknown; choose one of: {', '.join(get_args(Clusterer))}; "
                "or pass an object with fit_predict."
            )
        if self.reduction == "umap" and find_spec("umap") is None:
            raise UsageError(
                "reduction 'umap' needs the package umap-learn; install hudd[umap], or choose another."
            )
        for name, least in (("components", 1), ("min_samples", 1), ("n_clusters", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}; give at least {least}.")

    def fit(self, features: Any) -> Grouping:
        """Cluster features.

        Parameters
        ----------
        features : array_like, shape (N, ...)
            One item a row: heatmaps, activations, transfer features, pixels.

        Raises
        ------
        UsageError
            If there are no rows, or a value is NaN or infinite; the message names the row.
        """
        rows = self.reduce(features)
        labels = self.group(rows)
        k = max(int(labels.max()), 0)
        return Grouping(labels, k, _medoids(rows, labels, k), rows)

    def reduce(self, features: Any) -> np.ndarray:
        """Return what is clustered, (N, d) float32; parameters and errors as :meth:`fit`."""
        rows = np.asarray(features)
        if rows.ndim < 2 or not len(rows):
            raise UsageError(
                f"features have shape {rows.shape}; give one row an item, shape (N, ...), N > 0."
            )
        rows = rows.reshape(len(rows), -1)
        if not np.isfinite(rows).all():
            row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise UsageError(
                f"row {row} of the features holds NaN or an infinite value; mend or leave it out."
            )
        if self.unit_norm:
            rows = unit_norm_rows(rows)
        return self._reduced(rows.astype(np.float32, copy=False))

    def group(self, rows: np.ndarray) -> np.ndarray:
        """Return the cluster of each row of what :meth:`reduce` returns, as in :class:`Grouping`."""
        return _renumber(np.asarray(self._group(rows), np.int64))

    def _reduced(self, rows: np.ndarray) -> np.ndarray:
        n, width = rows.shape
        components = min(self.components, width)
        if self.reduction == "none" or n < 3 or (rows == rows[0]).all():
            return rows  # nothing to reduce, or nothing to tell rows apart by
        if self.reduction == "pca":
            method: Any = PCA(min(components, n), random_state=self.seed)
        elif self.reduction == "random-projection":
            method = GaussianRandomProjection(components, random_state=self.seed)
        else:
            import umap

            neighbours = min(15, n - 1)
            # min_dist 0 packs what is near, as suits density clustering; one job makes the seed decide.
            method = umap.UMAP(
                n_components=min(components, n - 2),
                n_neighbors=neighbours,
                min_dist=0.0,
                random_state=self.seed,
                n_jobs=1,
            )
        return np.ascontiguousarray(method.fit_transform(rows), np.float32)

    def _group(self, rows: np.ndarray) -> np.ndarray:
        n = len(rows)
        if hasattr(self.clusterer, "fit_predict"):
            return clone(self.clusterer, safe=False).fit_predict(rows)
        if n == 1:
            return np.ones(1, np.int64)
        if self.clusterer in ("ward", "average"):
            return self._cut(rows, self.clusterer)
        if self.clusterer == "kmeans":
            k = self.n_clusters or int(self._cut(rows, "ward").max())
            return sklearn_cluster.KMeans(min(k, n), n_init=10, random_state=self.seed).fit_predict(rows)
        neighbours = min(self.min_samples, n - 1)
        if self.clusterer == "dbscan":
            distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(rows).kneighbors()
            radius = choose_radius(distances[:, -1])
            return sklearn_cluster.DBSCAN(eps=radius, min_samples=self.min_samples).fit_predict(rows)
        smallest = max(2, neighbours)
        return sklearn_cluster.HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(rows)

    def _cut(self, rows: np.ndarray, method: Literal["ward", "average"]) -> np.ndarray:
        condensed = pairwise_distances(rows, condensed=True)
        z = linkage(condensed, method)
        if self.n_clusters is not None:
            return flat_labels(z, self.n_clusters)
        last = min(len(rows) // 2, _MOST_CLUSTERS) if condensed.any() else 1
        return knee_cut(condensed, z, np.arange(2, last + 1))[0]


def _renumber(labels: np.ndarray) -> np.ndarray:
    """Number clusters from 1 in order of first appearance; what is negative is noise, -1."""
    kept = labels >= 0
    _, first, inverse = np.unique(labels[kept], return_index=True, return_inverse=True)
    ranks = np.argsort(np.argsort(first))
    found = np.full(len(labels), -1, np.int64)
    found[kept] = ranks[inverse] + 1 if len(first) else inverse
    return found


def _medoids(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    found = np.empty(k, np.int64)
    for label in range(1, k + 1):
        members = np.flatnonzero(labels == label)
        found[label - 1] = members[np.argmin(pairwise_distances(rows[members]).sum(axis=1, dtype=np.float64))]
    return found
