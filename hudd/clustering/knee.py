"""How many clusters: the knee of the gradient of the WICD curve."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from hudd.clustering.wicd import flat_labels, wicd_curve


def gradient(curve: np.ndarray) -> np.ndarray:
    """Differentiate a curve of unit steps as the authors do, up to their factor 1/4.

    The five-point central stencil of fourth order inside, forward differences for the first two points
    and backward ones for the last two.

    Parameters
    ----------
    curve : ndarray, (K,) float64
        Values at consecutive k.

    Returns
    -------
    ndarray, (K,) float64
        A quarter of the derivative; zero for a single point.
    """
    slope = np.zeros(len(curve))
    if len(curve) < 2:
        return slope
    steps = np.diff(curve)
    slope[2:-2] = (curve[:-4] - 8.0 * curve[1:-3] + 8.0 * curve[3:-1] - curve[4:]) / 12.0
    slope[:2] = steps[:2]
    slope[-2:] = steps[-2:]
    return slope / 4.0


def choose_k(ks: np.ndarray, curve: np.ndarray, slope: np.ndarray) -> int:
    """Return the number of clusters at the knee of the gradient.

    Kneedle on the gradient, concave and increasing (V. Satopaa et al., "Finding a Kneedle in a haystack",
    ICDCSW 2011). Where it finds none, the k at which the WICD curve lies farthest below the chord from
    its first to its last point; the smallest k where the curve is flat.

    Parameters
    ----------
    ks, curve, slope : ndarray, (K,)
        Numbers of clusters, WICD and its gradient; K at least 1.
    """
    if len(ks) > 2 and np.ptp(slope) > 0:
        knee = kneedle(ks, slope, curve="concave")
        if knee is not None:
            return int(ks[knee])
    return int(ks[_elbow(curve)])


def knee_cut(sums: np.ndarray, z: np.ndarray, ks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a dendrogram at the knee of the gradient of its WICD curve.

    Parameters
    ----------
    sums : ndarray, (N - 1,) float64
        Distances inside the cluster that each merge makes, see :func:`hudd.clustering.wicd.tree_sums`.
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
    curve = wicd_curve(sums, z, ks)
    slope = gradient(curve)
    return flat_labels(z, choose_k(ks, curve, slope)), curve, slope


def kneedle(x: np.ndarray, y: np.ndarray, *, curve: Literal["concave", "convex"]) -> int | None:
    """Return the position of the knee of an increasing curve, or None where Kneedle finds none."""
    # It brings matplotlib and scipy.signal: a second of every command that needs no knee.
    from kneed import KneeLocator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kneed warns where it finds no knee
        knee = KneeLocator(x, y, curve=curve, direction="increasing").knee
    return None if knee is None else int(np.flatnonzero(x == knee)[0])


def choose_radius(distances: np.ndarray) -> float:
    """Return the radius at the knee of sorted nearest-neighbour distances, for DBSCAN.

    M. Ester et al., "A density-based algorithm for discovering clusters", KDD 1996, section 4.2. Where
    Kneedle finds none, the distance farthest below the chord of the sorted curve; always positive.

    Parameters
    ----------
    distances : ndarray, (N,)
        Each row's distance to its k-th nearest neighbour.
    """
    curve = np.sort(distances.astype(np.float64))
    knee = (
        kneedle(np.arange(len(curve)), curve, curve="convex")
        if len(curve) > 2 and np.ptp(curve) > 0
        else None
    )
    radius = curve[_elbow(curve) if knee is None else knee]
    if radius == 0:
        radius = (
            curve[np.searchsorted(curve, 0, side="right")] if curve[-1] > 0 else np.finfo(np.float64).tiny
        )
    return float(radius)


def _elbow(curve: np.ndarray) -> int:
    """Return where a curve lies farthest below the chord from its first to its last point; 0 if flat."""
    if np.ptp(curve) == 0:
        return 0
    return int(np.argmax(np.linspace(curve[0], curve[-1], len(curve)) - curve))
