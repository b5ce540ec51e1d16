"""From heatmaps of one layer to root-cause clusters, and from layers to the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from hudd.clustering.knee import knee_cut
from hudd.clustering.linkage import Method, check_condensed, count_points, linkage
from hudd.clustering.pipelines import Pipeline
from hudd.clustering.wicd import cluster_sums, flat_labels, medoids, wicd
from hudd.distances import pairwise_distances
from hudd.distances.threads import thread_count
from hudd.errors import UsageError
from hudd.presets import Clusterer, Preset, Reduction, check_counted, get_preset


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


_MOST = 1_000_000  # clusters


def cluster(
    heatmaps_or_distances: Any,
    *,
    preset: str = "hudd",
    max_clusters: int | None = None,
    cluster_size: int | None = None,
    reduction: Reduction | None = None,
    clusterer: Clusterer | Any = None,
    unit_norm: bool | None = None,
    seed: int = 0,
) -> Clustering:
    """Cluster the heatmaps of one layer, or any features, and choose the number of clusters.

    Parameters
    ----------
    heatmaps_or_distances : array_like or h5py.Dataset
        One heatmap a row, shape (N, ...); or condensed Euclidean distances, shape (N (N - 1) / 2,),
        taken as they are.
    preset : str
        Name of a preset, see :mod:`hudd.presets`.
    max_clusters : int, optional
        Largest number of clusters tried; by default half of the rows, at most the preset's.
    cluster_size : int, optional
        Cut the dendrogram into clusters of so many rows on average, in place of the preset's choice, and into as many
        as that makes unless `max_clusters` is given too.
    reduction, clusterer : str, optional
        In place of the preset's, see :class:`hudd.clustering.Pipeline`; the clusterer may be one of
        scikit-learn's. Distances can only be linked, unreduced. ``kmeans`` makes as many clusters as Ward's
        dendrogram would be cut into, so both numbers hold for it, the preset's size among them (15 rows in
        ``moments``). Those that find the number themselves take neither number, and pass over the preset's.
    unit_norm : bool, optional
        Divide each row by its Euclidean norm first, or do not, in place of the preset's choice. Distances
        are taken as they are.
    seed : int
        Seed of a reduction or clusterer that draws at random.

    Returns
    -------
    Clustering
        One cluster for a single row, for equal rows and, in preset ``hudd``, for two or three rows. Where
        the curve has no knee, see :func:`hudd.clustering.knee.choose_k`.

    Raises
    ------
    UsageError
        If the input is empty or not finite, or an option is not allowed or would have no effect.
    """
    choices = get_preset(preset)
    reduction = reduction or choices.reduction
    how: Any = clusterer or choices.clusterer
    linked = isinstance(how, str) and how in ("ward", "average")
    unit_norm = choices.unit_norm if unit_norm is None else unit_norm
    pipeline = Pipeline(reduction, clusterer=how, unit_norm=unit_norm, seed=seed)
    check_counted(how, max_clusters=max_clusters, cluster_size=cluster_size)
    if max_clusters is not None and not 2 <= max_clusters <= _MOST:
        raise UsageError(f"max_clusters is {max_clusters}; give 2 to {_MOST:,}, or leave it out.")
    if cluster_size is None:
        cluster_size = choices.cluster_size
    elif max_clusters is None:  # the size says how many
        choices = replace(choices, max_clusters=_MOST)
    if cluster_size is not None and cluster_size < 2:
        raise UsageError(f"cluster_size is {cluster_size}; give at least 2, or leave it out.")
    data = heatmaps_or_distances
    if not hasattr(data, "shape"):
        data = np.asarray(data)
    if len(data.shape) == 0:
        raise UsageError(f"cluster received {data!r}; give heatmaps, shape (N, ...), or condensed distances.")
    if len(data.shape) == 1:
        if reduction != "none" or not linked:
            raise UsageError(
                f"distances cannot be clustered by reduction '{reduction}' and clusterer '{how}'; "
                "give the features, shape (N, ...)."
            )
        condensed = check_condensed(data)
    elif int(data.shape[0]) == 0:
        raise UsageError("there are no heatmaps to cluster; give at least one row.")
    elif reduction == "none" and linked:
        condensed = pairwise_distances(data, condensed=True, unit_norm=unit_norm)
    else:
        rows = pipeline.reduce(data)
        condensed = pairwise_distances(rows, condensed=True)
    if linked:
        return _cut(condensed, how, choices, max_clusters, cluster_size)
    if isinstance(how, str) and how == "kmeans":
        apart = replace(choices, linkage_on="distances")  # the authors' profiles are for their linkage alone
        found = _cut(condensed, "ward", apart, max_clusters, cluster_size)
        pipeline = replace(pipeline, n_clusters=found.k)
    return _described(condensed, _apart(pipeline.group(rows)))


def _cut(
    condensed: np.ndarray,
    method: Method,
    choices: Preset,
    max_clusters: int | None,
    cluster_size: int | None,
) -> Clustering:
    """Link, and cut at the knee or into clusters of a size."""
    n = count_points(condensed)
    z, curve_on = _dendrogram(condensed, n, method, choices)
    ks = _range(n, choices, max_clusters) if condensed.any() else np.empty(0, np.int64)
    labels, curve, slope = knee_cut(curve_on, z, ks)
    if cluster_size is not None and len(ks):
        labels = flat_labels(z, min(max(ceil(n / cluster_size), 2), int(ks[-1])))
    return replace(_described(condensed, labels), ks=ks, wicd_curve=curve, gradient=slope, linkage=z)


def _described(condensed: np.ndarray, labels: np.ndarray) -> Clustering:
    """Return a clustering with what distances and labels alone tell."""
    sums, totals = cluster_sums(condensed, labels)
    value = wicd(totals, labels)
    mean = float(condensed.mean(dtype=np.float64)) if len(condensed) else 0.0
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


def _apart(labels: np.ndarray) -> np.ndarray:
    """Make each row that is noise, -1, a cluster of its own, after the others."""
    noise = labels < 0
    found = labels.copy()
    found[noise] = max(int(labels.max()), 0) + 1 + np.arange(noise.sum())
    return found


def _range(n: int, choices: Preset, max_clusters: int | None) -> np.ndarray:
    """Return the numbers of clusters to try."""
    authors = choices.linkage_on == "profiles"
    last = max_clusters or min(n // 2, choices.max_clusters)
    if authors and n > 1:
        last = max(last, 2)  # their range always holds 2 and may exceed N
    elif not authors:
        last = min(last, n - 1)
    return np.arange(2, last + 1)


def row_scaled(condensed: np.ndarray) -> np.ndarray:
    """Return the square matrix whose rows are divided by their largest distance, (N, N) float64.

    Not symmetric. Rows of zeros stay zero.
    """
    square = squareform(condensed.astype(np.float64))
    largest = square.max(axis=1, keepdims=True)
    return square / np.where(largest > 0, largest, 1.0)


def _dendrogram(
    condensed: np.ndarray, n: int, method: Method, choices: Preset
) -> tuple[np.ndarray, np.ndarray]:
    """Return the linkage matrix and the condensed distances that WICD is taken on."""
    if n == 1:
        return np.empty((0, 4)), condensed
    if choices.linkage_on != "profiles":
        return linkage(condensed, method), condensed
    scaled = row_scaled(condensed)
    # SciPy's own, in float64 and with its leaf order: the labels must be the authors'.
    z = hierarchy.linkage(pdist(scaled), method, optimal_ordering=True)
    return z, scaled[np.triu_indices(n, 1)] if choices.wicd_on == "row-scaled" else condensed


def cluster_layers(
    layers: Mapping[str, Any],
    *,
    preset: str = "hudd",
    max_clusters: int | None = None,
    max_memory: int = 2 << 30,
) -> dict[str, Clustering]:
    """Cluster several layers, as many at once as cores and memory allow.

    The kernels release the interpreter lock, so threads do. A layer needs its condensed distances once
    more as working memory; those read from a file are held while the layer is clustered.

    Parameters
    ----------
    layers : mapping of str to array_like or h5py.Dataset
        Condensed distances of each layer, (N (N - 1) / 2,), in the order of the network.
    preset, max_clusters
        As for :func:`cluster`.
    max_memory : int
        Bytes of distances and working memory at a time; one layer is always clustered.

    Returns
    -------
    dict of str to Clustering
        In the order given.

    Raises
    ------
    UsageError
        As :func:`cluster` does, for the first layer that cannot be clustered.
    """
    largest = max((int(layer.shape[0]) for layer in layers.values()), default=0)
    at_once = max(1, min(thread_count(), max_memory // max(1, 8 * largest)))
    with ThreadPoolExecutor(at_once) as pool:
        run = partial(cluster, preset=preset, max_clusters=max_clusters)
        return dict(zip(layers, pool.map(run, layers.values())))


def choose_layer(clusterings: Mapping[str, Clustering], *, preset: str = "hudd") -> str:
    """Choose the layer whose clusters are tightest.

    Parameters
    ----------
    clusterings : mapping of str to Clustering
        Layers in the order of the network.
    preset : str
        ``hudd`` takes the lowest scaled WICD among the layers with more than one cluster; ``hudd-2021``
        the lowest raw WICD, the first layer left out. The earlier layer wins ties.

    Returns
    -------
    str
        Name of the layer; the only one, if there is but one.

    Raises
    ------
    UsageError
        If there is no layer.
    """
    if not clusterings:
        raise UsageError("there is no layer to choose from; cluster at least one.")
    names = list(clusterings)
    if get_preset(preset).layer_choice == "raw":
        return min(names[1:] or names, key=lambda name: clusterings[name].wicd)
    split = [name for name in names if clusterings[name].k > 1]
    return min(split or names, key=lambda name: clusterings[name].scaled_wicd)
