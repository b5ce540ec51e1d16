"""The signed colour map of relevance: red speaks for the explained class, blue against it."""

from __future__ import annotations

import numpy as np

POSITIVE = (214, 24, 44)
NEGATIVE = (28, 92, 230)
ZERO = 128
"""Index of relevance 0 in the palette."""
FULL = 5
"""Relevance in full colour is so many times the mean of its map: one scale for all pictures, whatever their outputs."""


def relevance_scale(relevance: np.ndarray) -> float:
    """Return the absolute relevance that is drawn in full colour.

    That is five times the mean absolute relevance of one image, so that a colour says what share of its image's
    relevance a pixel has, and the same in every image; 1 where all relevance is 0.

    Parameters
    ----------
    relevance : np.ndarray
        (h, w) relevance of one image.
    """
    size = np.abs(relevance[np.isfinite(relevance)].astype(np.float64))
    return FULL * float(size.mean() if size.size else 0) or 1.0


def relevance_indices(relevance: np.ndarray) -> np.ndarray:
    """Return palette indices, (h, w) uint8, of (h, w) relevance; 128 where it is 0 or not finite."""
    known = np.where(np.isfinite(relevance), np.asarray(relevance, np.float64), 0)
    scaled = known / relevance_scale(relevance)
    indices: np.ndarray = np.rint(ZERO + 127 * np.clip(scaled, -1, 1)).astype(np.uint8)
    return indices


def relevance_palette() -> np.ndarray:
    """Return the palette, (256, 4) uint8 RGBA: opacity grows linearly with absolute relevance."""
    steps = np.arange(256) - ZERO
    palette = np.empty((256, 4), np.uint8)
    palette[:, :3] = np.where(steps[:, None] > 0, POSITIVE, NEGATIVE)
    palette[:, 3] = np.rint(np.clip(np.abs(steps) / 127, 0, 1) * 255)
    return palette
