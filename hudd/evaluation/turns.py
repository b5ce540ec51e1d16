"""How far images are turned against others of their class."""

from __future__ import annotations

import numpy as np


def turn(tilt: np.ndarray, label: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return directions of edges less the mean direction in the correctly classified images of the same class.

    Parameters
    ----------
    tilt : np.ndarray
        (N,) degrees, modulo 180; NaN where an image has no edges.
    label : np.ndarray
        (N,) int class numbers.
    correct : np.ndarray
        (N,) bool.

    Returns
    -------
    np.ndarray
        (N,) degrees from -90 to 90; NaN for classes without a correctly classified image that has edges.
    """
    twice = np.exp(2j * np.radians(tilt))
    found = np.full(len(tilt), np.nan)
    for one in np.unique(label):
        rows = label == one
        usual = twice[rows & correct & np.isfinite(tilt)]
        if len(usual):
            found[rows] = np.degrees(np.angle(twice[rows] * np.conj(usual.sum()))) / 2
    return found
