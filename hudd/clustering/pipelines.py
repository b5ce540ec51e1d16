"""From rows to clusters: reduce, take distances, link, cut, describe.

Density clustering of transfer features: M. Attaoui, H. Fahmy, F. Pastore, L. Briand, "Black-box safety analysis and
retraining of DNNs based on feature extraction and clustering", ACM TOSEM 32(3), 2023.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from hudd.clustering.clusterers import (
    Ward,
    check_clusterer,
    check_rows,
    checked_labels,
    instantiate,
    is_counted,
    is_linked,
)
from hudd.clustering.cut import Cut
from hudd.clustering.pairs import Matrix, Pairs, Rows, Source
from hudd.clustering.precomputed import as_array, condensed_distances, refuse_distances
from hudd.clustering.reduction import check_reduction, reduce_rows
from hudd.clustering.result import Clustering, describe, noise_apart
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.errors import UsageError
from hudd.parts import CLUSTERERS
from hudd.presets import Reduction


@dataclass(frozen=True)
class Grouping:
    """What a pipeline found.

    Attributes
    ----------
    labels : ndarray, (N,) int64
        Cluster of each row, from 1; -1 for rows that a density clusterer leaves out as noise.
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
    clusterer : str or clusterer
        A name: ``ward``, ``average``, ``kmeans``, ``dbscan``, ``hdbscan`` or one that a package registers; a spec,
        ``package.module:Class``; or an object with ``fit_predict``, which is cloned. See
        :class:`hudd.clustering.clusterers.Clusterer`.
    n_clusters : int, optional
        For those that are told the number; by default as `cut` says, others than linkages taking Ward's.
    min_samples : int, optional
        For dbscan and hdbscan, 5 by default: neighbours of a core row; smallest cluster of hdbscan. The radius
        of dbscan is the knee of the distances to that neighbour.
    unit_norm : bool
        Divide each row by its Euclidean norm first.
    seed : int
        Seed of whatever draws at random.
    cut : Cut
        How the number of clusters is chosen.
    linkage_from : {"matrix", "rows"}
        From a matrix of all distances, (N (N - 1) / 2,), or from the rows where that would not fit in memory: by Ward's
        method, or by clusterers that make no dendrogram.
    device : str or torch.device, optional
        Where distances of rows are taken; by default the CPU.
    """

    reduction: Reduction = "none"
    components: int = 50
    clusterer: Any = "ward"
    n_clusters: int | None = None
    min_samples: int | None = None
    unit_norm: bool = True
    seed: int = 0
    cut: Cut = field(default_factory=Cut)
    linkage_from: Source = "matrix"
    device: Any = None

    def __post_init__(self) -> None:
        check_reduction(self.reduction)
        check_clusterer(self.clusterer)
        if self.linkage_from not in get_args(Source):
            raise UsageError(
                f"linkage_from is {self.linkage_from!r}; choose one of: {', '.join(get_args(Source))}."
            )
        if self.linkage_from == "rows":
            check_rows(self.clusterer, "profiles" if self.cut.profiles else "distances")
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
            If there are no rows, a value is NaN or infinite (the message names the row), or the features are a
            matrix of distances.
        """
        rows = self.reduce(features)
        found, noise = self.clustering(features)
        k = found.k - int(noise.sum())  # noise comes last
        return Grouping(np.where(noise, -1, found.labels), k, found.medoids[:k], rows)

    def clustering(self, data: Any, metric: str | None = None) -> tuple[Clustering, np.ndarray]:
        """Cluster features or distances.

        Parameters
        ----------
        data : array_like or h5py.Dataset
            Features, shape (N, ...), or distances, square or condensed.
        metric : {"euclidean", "precomputed"}, optional
            ``precomputed`` says that these are distances, as one axis does. Otherwise they are features, refused
            if they look like a square matrix of distances unless ``euclidean`` is given.

        Returns
        -------
        clustering : Clustering
            Every row that is noise is a cluster of its own, after the others.
        noise : ndarray, (N,) bool
            Rows that the clusterer leaves out.

        Raises
        ------
        UsageError
            As :meth:`fit`, and if distances are to be reduced or grouped other than by linkage.
        """
        if metric not in (None, "euclidean", "precomputed"):
            raise UsageError(f"metric is {metric!r}; choose one of: euclidean, precomputed.")
        if isinstance(data, Rows):
            return self._linked(data)
        data = as_array(data)
        if len(data.shape) == 0:
            raise UsageError(f"cluster received {data!r}; give heatmaps, shape (N, ...), or distances.")
        if metric == "precomputed" or len(data.shape) == 1:
            return self._of_distances(data)
        if int(data.shape[0]) == 0:
            raise UsageError("there are no heatmaps to cluster; give at least one row.")
        if metric is None:
            refuse_distances(data, "give metric='precomputed'")
        if is_linked(self.clusterer) and self.reduction == "none":
            return self._linked(self._pairs(data, unit_norm=self.unit_norm))
        rows = self.reduced(data)[0]
        pairs = self._pairs(rows)
        if is_linked(self.clusterer):
            return self._linked(pairs)
        labels = self._assigned(rows, pairs)
        return describe(pairs, noise_apart(labels)), labels < 0

    def reduce(self, features: Any) -> np.ndarray:
        """Return what is clustered, (N, d) float32; parameters and errors as :meth:`fit`."""
        features = as_array(features)
        refuse_distances(features, "give them to hudd.cluster with metric='precomputed'")
        return self.reduced(features)[0]

    def reduced(self, features: Any) -> tuple[np.ndarray, Any]:
        """Return what is clustered, and the reduction for :meth:`reduce_further`; distances are not looked for."""
        return reduce_rows(self._rows(features), self.reduction, self.components, self.seed)

    def reduce_further(self, features: Any, reduction: Any) -> np.ndarray:
        """Return further features reduced as those of :meth:`reduced` were."""
        rows = self._rows(features)
        return rows if reduction is None else np.ascontiguousarray(reduction.transform(rows), np.float32)

    def group(self, rows: np.ndarray) -> np.ndarray:
        """Return the cluster of each row of what :meth:`reduce` returns, as in :class:`Grouping`."""
        pairs = self._pairs(rows)
        if is_linked(self.clusterer):
            return self._linked(pairs)[0].labels
        return self._assigned(rows, pairs)

    def _pairs(self, rows: Any, *, unit_norm: bool = False) -> Pairs:
        """Distances of rows, all at once or as they are asked for."""
        if self.linkage_from == "rows":
            return Rows(rows, unit_norm, self.device)
        return Matrix(pairwise_distances(rows, condensed=True, unit_norm=unit_norm, device=self.device))

    def _rows(self, features: Any) -> np.ndarray:
        """Features as rows, (N, D) float32, checked and of unit norm where that is asked for."""
        rows = np.asarray(features)
        if rows.ndim < 2 or not len(rows):
            raise UsageError(
                f"features have shape {rows.shape}; give one row an item, shape (N, ...), N > 0."
            )
        rows = rows.reshape(len(rows), -1)
        if not np.isfinite(rows).all():
            row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise UsageError(
                f"row {row} of the features holds NaN or an infinite value; fix it or leave it out."
            )
        if self.unit_norm:
            rows = unit_norm_rows(rows)
        return rows.astype(np.float32, copy=False)

    def _of_distances(self, distances: Any) -> tuple[Clustering, np.ndarray]:
        if self.reduction != "none" or not is_linked(self.clusterer):
            raise UsageError(
                f"distances cannot be clustered by reduction '{self.reduction}' and clusterer '{self.clusterer}'; "
                "give the features, shape (N, ...)."
            )
        if self.linkage_from == "rows":
            raise UsageError(
                "linkage_from is 'rows', and distances were given; give rows, shape (N, ...), or leave it out."
            )
        return self._linked(Matrix(condensed_distances(distances)))

    def _linked(self, pairs: Pairs) -> tuple[Clustering, np.ndarray]:
        with self._attributing_errors():
            found = self._cut.apply(pairs, instantiate(self.clusterer))
        return found, np.zeros(len(found.labels), bool)

    @property
    def _cut(self) -> Cut:
        return replace(self.cut, number=self.n_clusters)

    def _assigned(self, rows: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Cluster of each row by a clusterer that makes no dendrogram, from 1; -1 for noise."""
        offered: dict[str, Any] = {"random_state": self.seed}
        if self.min_samples is not None:
            offered["min_samples"] = self.min_samples
        if is_counted(self.clusterer):  # the authors' profiles are for their linkage alone
            cut = replace(self._cut, profiles=False, row_scaled=False)
            offered["n_clusters"] = self.n_clusters or cut.apply(pairs, Ward()).k
        clusterer = instantiate(self.clusterer, **offered)
        with self._attributing_errors():
            return checked_labels(clusterer.fit_predict(rows), len(rows), self.clusterer)

    def _attributing_errors(self) -> Any:
        return (
            CLUSTERERS.attributing_errors(self.clusterer)
            if isinstance(self.clusterer, str)
            else nullcontext()
        )
