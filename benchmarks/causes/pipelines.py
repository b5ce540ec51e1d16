"""The ways from failures to clusters that are compared: a feature, a reduction, a clusterer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil

import numpy as np
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_score

from hudd.clustering import Pipeline, linkage
from hudd.clustering.wicd import flat_labels
from hudd.distances import pairwise_distances

Labels = np.ndarray
REDUCTIONS = ("none", "pca", "umap") if find_spec("umap") else ("none", "pca")
_COMPONENTS = {"none": 50, "pca": 50, "umap": 10}
_MOST = 120  # clusters whose silhouette is tried
_INSPECTED = 15  # failures a cluster on average, where their number is set by size

# Features that are reduced by UMAP as well: it takes longer than all else together.
EMBEDDED = ("transfer", "moments")


@dataclass(frozen=True)
class Choice:
    """One pipeline."""

    feature: str
    reduction: str
    clusterer: str

    @property
    def name(self) -> str:
        return " / ".join((self.feature, self.reduction, self.clusterer))


def reduce(rows: np.ndarray, reduction: str, seed: int) -> np.ndarray:
    """Return rows of fewer dimensions."""
    pipeline = Pipeline(
        reduction,  # type: ignore[arg-type]
        components=_COMPONENTS[reduction],
        unit_norm=False,
        seed=seed,
    )
    return pipeline.reduce(rows)


def _hudd(clusterer: str) -> Callable[[np.ndarray, int], Labels]:
    def group(rows: np.ndarray, seed: int) -> Labels:
        return Pipeline(clusterer=clusterer, unit_norm=False, seed=seed).group(rows)

    return group


def _by_silhouette(rows: np.ndarray, seed: int) -> Labels:
    condensed = pairwise_distances(rows, condensed=True)
    z, square = linkage(condensed), squareform(condensed)
    cuts = [flat_labels(z, k) for k in range(2, _MOST + 1)]
    return max(cuts, key=lambda labels: _silhouette(square, labels))


def _silhouette(square: np.ndarray, labels: Labels) -> float:
    """0 where all are in one cluster, or each in its own."""
    possible = 1 < len(np.unique(labels)) < len(labels)
    return silhouette_score(square, labels, metric="precomputed") if possible else 0.0


def _by_size(rows: np.ndarray, seed: int) -> Labels:
    return Pipeline(n_clusters=ceil(len(rows) / _INSPECTED), unit_norm=False).group(rows)


CLUSTERERS: dict[str, Callable[[np.ndarray, int], Labels]] = {
    "ward, knee": _hudd("ward"),
    "ward, silhouette": _by_silhouette,
    f"ward, {_INSPECTED} each": _by_size,
    "kmeans": _hudd("kmeans"),
    "dbscan": _hudd("dbscan"),
    "hdbscan": _hudd("hdbscan"),
}


def choices(features: tuple[str, ...]) -> list[Choice]:
    """Every pipeline of the grid on some features."""
    return [
        Choice(feature, reduction, clusterer)
        for feature in features
        for reduction in REDUCTIONS
        if reduction != "umap" or feature in EMBEDDED
        for clusterer in CLUSTERERS
    ]
