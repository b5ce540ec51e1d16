"""Which images of a large set are measured: a bounded number of them, whatever reads the set and in which order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xxhash

WHOLE = 1 << 16
"""Images up to which all of a set are measured."""
DRAWN = 20_000
"""Images that are drawn from a larger set, errors and others at the rate at which they occur."""
ERRORS = 20_000
"""Errors of a larger set that are measured, at most, those among the drawn images included."""

UNMEASURED, AS_ERROR, AS_DRAWN = 0, 1, 2


def choose(identifiers: Iterable[bytes], errors: np.ndarray) -> np.ndarray:
    """Choose which images of a set of more than :data:`WHOLE` to measure, by the hash of their identifiers.

    Parameters
    ----------
    identifiers : iterable of bytes
        N of them, as UTF-8.
    errors : numpy.ndarray
        (n,) int64 rows of the errors to measure, as far as there is room for them.

    Returns
    -------
    numpy.ndarray
        (N,) int8: 2 for :data:`DRAWN` images, drawn from all of them; 1 for errors besides; 0 for images that are not
        measured.
    """
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, identifiers), np.uint64)
    chosen = np.full(len(hashes), UNMEASURED, np.int8)
    chosen[errors[_lowest(hashes[errors], ERRORS)]] = AS_ERROR
    chosen[_lowest(hashes, DRAWN)] = AS_DRAWN
    return chosen


def _lowest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the lowest values, at most `count` of them."""
    return np.argsort(values, kind="stable")[:count]
