"""The clusterers, by name. A new one is a class here or in another package, see :class:`Clusterer`."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from hudd.clustering.knee import choose_radius
from hudd.clustering.linkage import Method, linkage
from hudd.errors import HuddError, UsageError
from hudd.lazy import sklearn_base, sklearn_cluster, sklearn_neighbors
from hudd.parts import CLUSTERERS
from hudd.registry import takes


@runtime_checkable
class Clusterer(Protocol):
    """What groups rows, as scikit-learn's clusterers do: any of them can be named as ``package.module:Class``.

    It is made by calling the registered class or function with those of these keyword arguments that it names:
    ``n_clusters`` (int, as many as Ward's dendrogram would be cut into), ``random_state`` (int, the study's seed)
    and ``min_samples`` (int, where :class:`Pipeline` is given it). Only one that names ``n_clusters`` is told how many
    clusters to make; one that does not finds their number itself.

    In place of ``fit_predict`` it may have ``linkage``, which takes condensed Euclidean distances, (N (N - 1) / 2,)
    float32, and returns SciPy's linkage matrix, (N - 1, 4) float64, heights ascending; the dendrogram is then cut as
    the preset says.
    """

    def fit_predict(self, rows: np.ndarray, /) -> np.ndarray:
        """Return the cluster of each row, (N,) int, of rows (N, D) float32; a negative number means none."""


class Ward:
    """Ward's method: merges the two clusters whose union has the least variance."""

    method: Method = "ward"

    def linkage(self, condensed: np.ndarray) -> np.ndarray:
        """Return SciPy's linkage matrix of condensed distances."""
        return linkage(condensed, self.method)


class Average(Ward):
    """Average linkage: merges the two clusters with the least mean distance."""

    method = "average"


class Kmeans:
    """k-means, the best of ten starts."""

    def __init__(self, n_clusters: int, random_state: int = 0) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit_predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the cluster of each row."""
        if len(rows) == 1:
            return np.zeros(1, np.int64)
        k = min(self.n_clusters, len(rows))
        found: np.ndarray = sklearn_cluster.KMeans(k, n_init=10, random_state=self.random_state).fit_predict(
            rows
        )
        return found


class Dbscan:
    """DBSCAN, its radius at the knee of the distances to the `min_samples`-th neighbour."""

    def __init__(self, min_samples: int = 5) -> None:
        self.min_samples = min_samples

    def fit_predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the cluster of each row, -1 for noise."""
        if len(rows) == 1:
            return np.zeros(1, np.int64)
        neighbours = min(self.min_samples, len(rows) - 1)
        distances, _ = sklearn_neighbors.NearestNeighbors(n_neighbors=neighbours).fit(rows).kneighbors()
        radius = choose_radius(distances[:, -1])
        found: np.ndarray = sklearn_cluster.DBSCAN(eps=radius, min_samples=self.min_samples).fit_predict(rows)
        return found


class Hdbscan:
    """HDBSCAN, its smallest cluster of `min_samples` rows."""

    def __init__(self, min_samples: int = 5) -> None:
        self.min_samples = min_samples

    def fit_predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the cluster of each row, -1 for noise."""
        if len(rows) == 1:
            return np.zeros(1, np.int64)
        smallest = max(2, min(self.min_samples, len(rows) - 1))
        found: np.ndarray = sklearn_cluster.HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(rows)
        return found


def check_clusterer(clusterer: Any) -> None:
    """Refuse what is neither a known name, nor a spec, nor an object with ``fit_predict`` or ``linkage``."""
    if isinstance(clusterer, str):
        CLUSTERERS.check(clusterer)
    elif not (hasattr(clusterer, "fit_predict") or is_linked(clusterer)):
        raise UsageError(
            f"clusterer {clusterer!r} is unknown; choose one of: {', '.join(CLUSTERERS.names())}; or pass an object "
            "with fit_predict."
        )


def is_linked(clusterer: Any) -> bool:
    """Say whether a clusterer, or one of that name, makes a dendrogram."""
    found = CLUSTERERS.find(clusterer) if isinstance(clusterer, str) else clusterer
    return callable(getattr(found, "linkage", None))


def works_on_rows(clusterer: Any, linkage_on: str = "distances") -> bool:
    """Say whether a clusterer, or one of that name, needs no distance matrix: Ward's method, or one that takes rows."""
    if not is_linked(clusterer):
        return True
    found = CLUSTERERS.find(clusterer) if isinstance(clusterer, str) else type(clusterer)
    return found is Ward and linkage_on != "profiles"


def check_rows(clusterer: Any, linkage_on: str = "distances") -> None:
    """Refuse to link rows by a method that needs all their distances.

    Raises
    ------
    UsageError
        Naming the method.
    """
    if not works_on_rows(clusterer, linkage_on):
        name = clusterer if isinstance(clusterer, str) else type(clusterer).__name__
        what = "preset 'hudd-2021'" if linkage_on == "profiles" else f"clusterer '{name}'"
        raise UsageError(
            f"linkage_from is 'rows', but {what} needs the distance matrix; leave linkage_from out, or choose Ward's "
            "method with another preset."
        )


def is_counted(clusterer: Any) -> bool:
    """Say whether a clusterer, or one of that name, is told how many clusters to make."""
    if is_linked(clusterer):
        return True
    return isinstance(clusterer, str) and takes(CLUSTERERS.find(clusterer), "n_clusters")


def check_counted(clusterer: Any, **numbers: int | None) -> None:
    """Refuse a number that was given to a clusterer that finds the number of clusters itself.

    Parameters
    ----------
    clusterer : str or object
        Name of a clusterer, or one of scikit-learn's.
    **numbers
        What was given, by name; None where nothing was.

    Raises
    ------
    UsageError
        If a number would have no effect.
    """
    given = [f"{name} {value}" for name, value in numbers.items() if value is not None]
    if given and not is_counted(clusterer):
        how = f"'{clusterer}'" if isinstance(clusterer, str) else type(clusterer).__name__
        counted = [name for name in CLUSTERERS.own if is_counted(name)]
        raise UsageError(
            f"clusterer {how} finds the number of clusters itself, so {given[0]} has no effect; leave it out, or "
            f"choose one of: {', '.join(counted)}."
        )


def instantiate(clusterer: Any, **offered: Any) -> Any:
    """Return the clusterer of that name, made with what it takes, or a copy of the object."""
    if isinstance(clusterer, str):
        return CLUSTERERS.make(clusterer, **offered)
    return sklearn_base.clone(clusterer, safe=False)


def checked_labels(found: Any, rows: int, clusterer: Any) -> np.ndarray:
    """Return the labels that a clusterer gave, renumbered from 1 in order of first appearance; noise is -1.

    Raises
    ------
    HuddError
        If they are not one whole number per row.
    """
    labels = np.asarray(found)
    if labels.shape != (rows,) or labels.dtype.kind not in "iu":
        name = clusterer if isinstance(clusterer, str) else type(clusterer).__name__
        raise HuddError(
            f"clusterer '{name}' returned labels of shape {labels.shape} and dtype {labels.dtype} for {rows} rows; it "
            "must return one whole number per row."
        )
    labels = labels.astype(np.int64)
    kept = labels >= 0
    _, first, inverse = np.unique(labels[kept], return_index=True, return_inverse=True)
    ranks = np.argsort(np.argsort(first))
    numbered = np.full(rows, -1, np.int64)
    numbered[kept] = ranks[inverse] + 1 if len(first) else inverse
    return numbered
