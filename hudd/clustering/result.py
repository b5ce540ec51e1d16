"""What clustering finds: labels, and what distances tell of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hudd.clustering.pairs import Pairs
from hudd.clustering.wicd import medoids, wicd

_NO_SPREAD = 1e-6  # of the scaled WICD, beyond which rounding does not reach


@dataclass(frozen=True)
class Clustering:
    """Root-cause clusters of one layer.

    Attributes
    ----------
    labels : ndarray, (N,) int64
        Cluster of each row, from 1. A row that a density clusterer leaves out as noise is a cluster of its own.
    k : int
        Number of clusters.
    ks : ndarray, (K,) int64
        Numbers of clusters tried; empty where there was no choice.
    wicd_curve, gradient : ndarray, (K,) float64
        WICD for each of them, in the units of what the preset takes it on, and its gradient.
    linkage : ndarray, (N - 1, 4) float64
        SciPy's Z; (0, 4) where the clusterer makes no dendrogram.
    medoids : ndarray, (k,) int64
        Row of each cluster with the smallest sum of distances to its members.
    wicd : float
        WICD of the chosen clusters on the distances themselves.
    scaled_wicd : float
        Mean distance between two images of one cluster, clusters weighted by size and singletons counted
        as 0, over the mean distance between any two images: ``k * wicd / mean``. Free of the layer's
        scale and of k in the denominator; 1 where there is no structure: one cluster, or equal rows.
    """

    labels: np.ndarray
    k: int
    ks: np.ndarray
    wicd_curve: np.ndarray
    gradient: np.ndarray
    linkage: np.ndarray
    medoids: np.ndarray
    wicd: float
    scaled_wicd: float

    @property
    def degenerate(self) -> bool:
        """Whether the rows fall together on as many points as there are clusters, so that nothing is grouped.

        So do heatmaps of one number per image, which differ by their sign alone once they have unit norm.
        """
        return self.k > 1 and self.scaled_wicd < _NO_SPREAD

    def _repr_html_(self) -> str:
        """Show the clusters as a table, at the end of a notebook's cell."""
        sizes = np.bincount(self.labels, minlength=len(self.medoids) + 1)[1:]
        rows = "".join(
            f"<tr><td>{number}</td><td>{size}</td><td>{medoid}</td></tr>"
            for number, (size, medoid) in enumerate(zip(sizes.tolist(), self.medoids.tolist()), start=1)
        )
        return (
            f"<p><b>{self.k} clusters</b> of {len(self.labels):,} rows, scaled WICD {self.scaled_wicd:.3g}</p>"
            f"<table><thead><tr><th>cluster</th><th>size</th><th>medoid</th></tr></thead>{rows}</table>"
        )


def describe(pairs: Pairs, labels: np.ndarray) -> Clustering:
    """Return a clustering with what distances and labels alone tell."""
    sums, totals = pairs.cluster_sums(labels)
    value, mean = wicd(totals, labels), pairs.mean()
    return Clustering(
        labels=labels,
        k=len(totals),
        ks=np.empty(0, np.int64),
        wicd_curve=np.empty(0),
        gradient=np.empty(0),
        linkage=np.empty((0, 4)),
        medoids=medoids(sums, labels),
        wicd=value,
        scaled_wicd=value * len(totals) / mean if mean > 0 else 1.0,
    )


def noise_apart(labels: np.ndarray) -> np.ndarray:
    """Make each row that is noise, -1, a cluster of its own, after the others."""
    noise = labels < 0
    found = labels.copy()
    found[noise] = max(int(labels.max()), 0) + 1 + np.arange(noise.sum())
    return found
