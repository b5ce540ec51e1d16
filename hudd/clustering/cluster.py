"""From heatmaps of one layer to root-cause clusters, and from layers to the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from hudd.clustering.knee import choose_k, gradient
from hudd.clustering.linkage import check_condensed, count_points, linkage
from hudd.clustering.wicd import cluster_sums, flat_labels, medoids, wicd, wicd_curve
from hudd.distances import pairwise_distances
from hudd.distances.threads import thread_count
from hudd.errors import UsageError
from hudd.presets import Preset, get_preset


@dataclass(frozen=True)
class Clustering:
    """Root-cause clusters of one layer.

    Attributes
    ----------
    labels : ndarray, (N,) int64
        Cluster of each row, from 1.
    k : int
        Number of clusters.
    ks : ndarray, (K,) int64
        Numbers of clusters tried; empty where there was no choice.
    wicd_curve, gradient : ndarray, (K,) float64
        WICD for each of them, in the units of what the preset takes it on, and its gradient.
    linkage : ndarray, (N - 1, 4) float64
        SciPy's Z.
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


def cluster(
    heatmaps_or_distances: Any, *, preset: str = "hudd", max_clusters: int | None = None
) -> Clustering:
    """Cluster the heatmaps of one layer and choose the number of clusters.

    Parameters
    ----------
    heatmaps_or_distances : array_like or h5py.Dataset
        One heatmap a row, shape (N, ...); or condensed Euclidean distances, shape (N (N - 1) / 2,),
        taken as they are.
    preset : str
        Name of a preset, see :mod:`hudd.presets`.
    max_clusters : int, optional
        Largest number of clusters tried; by default half of the rows, at most the preset's.

    Returns
    -------
    Clustering
        One cluster for a single row, for equal rows and, in preset ``hudd``, for two or three rows. Where
        the curve has no knee, see :func:`hudd.clustering.knee.choose_k`.

    Raises
    ------
    UsageError
        If the input is empty or not finite, or `max_clusters` is below 2.
    """
    choices = get_preset(preset)
    if max_clusters is not None and max_clusters < 2:
        raise UsageError(f"max_clusters is {max_clusters}; give at least 2, or leave it out.")
    data = heatmaps_or_distances
    if not hasattr(data, "shape"):
        data = np.asarray(data)
    if len(data.shape) == 1:
        condensed = check_condensed(data)
        n = count_points(condensed)
    else:
        n = int(data.shape[0])
        if n == 0:
            raise UsageError("there are no heatmaps to cluster; give at least one row.")
        condensed = pairwise_distances(data, condensed=True, unit_norm=choices.unit_norm)
    z, curve_on = _dendrogram(condensed, n, choices)
    ks = _range(n, choices, max_clusters) if condensed.any() else np.empty(0, np.int64)
    labels, curve, slope = knee_cut(curve_on, z, ks)
    sums, totals = cluster_sums(condensed, labels)
    value = wicd(totals, labels)
    mean = float(condensed.mean(dtype=np.float64)) if len(condensed) else 0.0
    return Clustering(
        labels=labels,
        k=len(totals),
        ks=ks,
        wicd_curve=curve,
        gradient=slope,
        linkage=z,
        medoids=medoids(sums, labels),
        wicd=value,
        scaled_wicd=value * len(totals) / mean if mean > 0 else 1.0,
    )


def knee_cut(
    condensed: np.ndarray, z: np.ndarray, ks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a dendrogram at the knee of the gradient of its WICD curve.

    Parameters
    ----------
    condensed : ndarray, (N (N - 1) / 2,)
        Distances that WICD is taken on.
    z : ndarray, (N - 1, 4) float64
        Linkage matrix.
    ks : ndarray, (K,) int
        Numbers of clusters to try; none makes one cluster.

    Returns
    -------
    labels : ndarray, (N,) int64
    curve, slope : ndarray, (K,) float64
        WICD and its gradient.
    """
    if not len(ks):
        return np.ones(len(z) + 1, np.int64), np.empty(0), np.empty(0)
    curve = wicd_curve(condensed, z, ks)
    slope = gradient(curve)
    return flat_labels(z, choose_k(ks, curve, slope)), curve, slope


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


def _dendrogram(condensed: np.ndarray, n: int, choices: Preset) -> tuple[np.ndarray, np.ndarray]:
    """Return the linkage matrix and the condensed distances that WICD is taken on."""
    if n == 1:
        return np.empty((0, 4)), condensed
    if choices.linkage_on == "distances":
        return linkage(condensed), condensed
    scaled = row_scaled(condensed)
    # SciPy's own, in float64 and with its leaf order: the labels must be the authors'.
    z = hierarchy.linkage(pdist(scaled), "ward", optimal_ordering=True)
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
