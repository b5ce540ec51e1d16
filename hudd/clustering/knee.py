"""How many clusters: the knee of the gradient of the WICD curve."""

from __future__ import annotations

import warnings

import numpy as np
from kneed import KneeLocator


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kneed warns where it finds no knee
            knee = KneeLocator(ks, slope, curve="concave", direction="increasing").knee
        if knee is not None:
            return int(knee)
    if np.ptp(curve) == 0:
        return int(ks[0])
    chord = np.linspace(curve[0], curve[-1], len(curve))
    return int(ks[np.argmax(chord - curve)])
