"""Where labels of points are put so that none covers another."""

from __future__ import annotations

import numpy as np

_STEP = 4.0  # between rings of places that are tried around a point, in the unit of the sizes
_RINGS = 100


def apart(points: np.ndarray, sizes: np.ndarray, room: tuple[float, float]) -> np.ndarray:
    """Return the centres of labels, each as near to its point as those before it leave room for.

    Parameters
    ----------
    points : np.ndarray
        (n, 2) points.
    sizes : np.ndarray
        (n, 2) width and height of the labels, in the unit of the points.
    room : (float, float)
        Width and height that the labels stay inside, from (0, 0).

    Returns
    -------
    np.ndarray
        (n, 2) float64 centres. A label that finds no room lies on its point.
    """
    centres = np.array(points, np.float64)
    tried = _places()
    for at, (point, size) in enumerate(zip(centres.copy(), sizes)):
        least, most = size / 2, np.asarray(room) - size / 2
        places = np.clip(point, least, np.maximum(least, most)) + tried
        inside = ((places >= least) & (places <= most)).all(axis=1)
        gap = np.abs(places[:, None] - centres[None, :at]) - (size + sizes[:at]) / 2
        free = inside & (gap > 0).any(axis=2).all(axis=1)
        if free.any():
            centres[at] = places[free.argmax()]
    return centres


def _places() -> np.ndarray:
    """Return (m, 2) steps from a point, on rings, the nearest first."""
    rings = [np.zeros((1, 2))]
    for ring in range(1, _RINGS):
        angle = 2 * np.pi * np.arange(6 * ring) / (6 * ring)
        rings.append(_STEP * ring * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(rings)
