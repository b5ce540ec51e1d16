"""Root causes as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hudd.clustering.cluster import pipeline_of
from hudd.clustering.precomputed import condensed_distances, refuse_distances
from hudd.distances import pairwise_distances
from hudd.errors import UsageError
from hudd.presets import DEFAULT_PRESET, Reduction

_AT_A_TIME = 4096  # rows to predict


class RootCauses(ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type hints
    """Group failures by their features into root causes, as ``hudd run`` does, in scikit-learn's manner.

    Parameters
    ----------
    preset : str
        Name of a preset, see :mod:`hudd.presets`; by default that of a study.
    metric : {"euclidean", "precomputed"}
        ``precomputed``: ``fit`` takes distances, square or condensed, and ``predict`` those of new failures to the
        fitted ones.
    max_clusters, cluster_size, reduction, clusterer, unit_norm
        In place of the preset's, see :func:`hudd.cluster`.
    random_state : int, RandomState instance or None
        Seed of a reduction or clusterer that draws at random; an int makes it repeatable.

    Attributes
    ----------
    labels_ : ndarray, (N,) int64
        Cluster of each row, from 0; -1 for rows that a density clusterer leaves out as noise. Those of
        :func:`hudd.cluster` start at 1, and there noise makes clusters of its own.
    n_clusters_ : int
        Number of clusters, noise left out.
    medoid_indices_ : ndarray, (n_clusters_,) int64
        Row of each cluster with the smallest sum of distances to its members.
    clustering_ : Clustering
        What :func:`hudd.cluster` returns.
    n_features_in_ : int
        Number of features, or of distances, a row.

    Raises
    ------
    UsageError
        From ``fit`` and ``predict``, as :func:`hudd.cluster` does; it is a ValueError.

    Examples
    --------
    >>> import hudd, numpy as np
    >>> rows = np.repeat(np.eye(4), 20, axis=0)
    >>> causes = hudd.RootCauses().fit(rows)
    >>> causes.n_clusters_, causes.predict(np.eye(4)[[2]]) == causes.labels_[40]
    (4, array([ True]))
    """

    def __init__(
        self,
        preset: str = DEFAULT_PRESET,
        *,
        metric: str = "euclidean",
        max_clusters: int | None = None,
        cluster_size: int | None = None,
        reduction: Reduction | None = None,
        clusterer: Any = None,
        unit_norm: bool | None = None,
        random_state: Any = 0,
    ) -> None:
        self.preset = preset
        self.metric = metric
        self.max_clusters = max_clusters
        self.cluster_size = cluster_size
        self.reduction = reduction
        self.clusterer = clusterer
        self.unit_norm = unit_norm
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> RootCauses:
        """Group failures.

        Parameters
        ----------
        X : array_like
            Features, (N, ...), one failure a row; or distances, (N, N) or condensed, with
            ``metric="precomputed"``.
        y : None
            Not used; there for scikit-learn's pipelines.
        """
        if self.metric not in ("euclidean", "precomputed"):
            raise UsageError(f"metric is {self.metric!r}; choose one of: euclidean, precomputed.")
        pipeline = pipeline_of(
            self.preset,
            max_clusters=self.max_clusters,
            cluster_size=self.cluster_size,
            reduction=self.reduction,
            clusterer=self.clusterer,
            unit_norm=self.unit_norm,
            seed=self._seed(),
        )
        rows, reduction = None, None
        if self.metric == "precomputed":
            if np.ndim(X) != 1:
                X = self._validated(X, reset=True)
            distances = condensed_distances(X)
            found, noise = pipeline.clustering(distances, "precomputed")
            self.n_features_in_ = len(found.labels)
        else:
            X = self._validated(X, reset=True)
            refuse_distances(X, "give metric='precomputed'")
            found, noise = pipeline.clustering(X, "euclidean")
            rows, reduction = pipeline.reduced(X)
        self._pipeline, self._reduction, self._rows = pipeline, reduction, rows
        self.clustering_ = found
        self.n_clusters_ = found.k - int(noise.sum())
        self.labels_ = np.where(noise, -1, found.labels - 1)
        self.medoid_indices_ = found.medoids[: self.n_clusters_]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the root cause of new failures: that of the closest fitted row, as unsafe images are selected.

        Parameters
        ----------
        X : array_like
            Features, (M, ...); or distances to the fitted rows, (M, N), with ``metric="precomputed"``.

        Returns
        -------
        ndarray, (M,) int64
            From 0; -1 where the closest row is noise.
        """
        check_is_fitted(self, "labels_")
        X = self._validated(X, reset=False)
        closest = np.empty(len(X), np.int64)
        for start in range(0, len(X), _AT_A_TIME):
            block = X[start : start + _AT_A_TIME]
            if self._rows is not None:
                # Differences, not products: what is closest then depends on no other row.
                rows = self._pipeline.reduce_further(block, self._reduction)
                block = pairwise_distances(rows, self._rows, method="direct")
            closest[start : start + _AT_A_TIME] = block.argmin(axis=1)
        found: np.ndarray = self.labels_[closest]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.positive_only = self.metric == "precomputed"
        return tags

    def _more_tags(self) -> dict[str, bool]:  # scikit-learn before 1.6
        return {"pairwise": self.metric == "precomputed"}

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _validated(self, X: Any, *, reset: bool) -> np.ndarray:
        """Check rows as scikit-learn does; those of several axes are flattened."""
        if hasattr(X, "detach"):
            X = X.detach().cpu().numpy()
        if np.ndim(X) > 2:
            X = np.reshape(X, (len(X), -1))
        try:
            try:
                from sklearn.utils.validation import validate_data
            except ImportError:  # scikit-learn before 1.6
                rows: np.ndarray = self._validate_data(X, reset=reset, dtype=[np.float32, np.float64])
            else:
                rows = validate_data(self, X, reset=reset, dtype=[np.float32, np.float64])
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error
        return rows
