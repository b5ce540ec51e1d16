"""Agglomerative clustering of a condensed distance matrix in float32."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, Literal, get_args

import numpy as np

from hudd.clustering import chain
from hudd.errors import UsageError
from hudd.progress import progress

Method = Literal["ward", "average", "complete", "weighted", "single"]
_METHODS = get_args(Method)
_CODES = {
    "ward": chain.WARD,
    "average": chain.AVERAGE,
    "complete": chain.COMPLETE,
    "weighted": chain.WEIGHTED,
}
_COMPACT_AT = 0.7
LONG = 5000  # rows from which on a bar is worth its line


def count_points(condensed: np.ndarray) -> int:
    """Return N for a condensed matrix of N (N - 1) / 2 distances.

    Raises
    ------
    UsageError
        If no N fits.
    """
    size = len(condensed)
    n = (1 + math.isqrt(1 + 8 * size)) // 2
    if n * (n - 1) // 2 != size:
        raise UsageError(
            f"a condensed matrix holds N (N - 1) / 2 distances; {size} fits no N; pass the upper triangle."
        )
    return n


def condensed_at(n: int, i: np.ndarray, j: np.ndarray | int) -> np.ndarray:
    """Return where a condensed matrix of `n` points has the pairs of points `i` and other points `j`."""
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    at: np.ndarray = n * low - low * (low + 1) // 2 + high - low - 1
    return at


def check_condensed(condensed: Any) -> np.ndarray:
    """Return `condensed` as a 1-D array of distances, uncopied where it is one of 32 bits or more.

    Raises
    ------
    UsageError
        If it is not 1-D, of no N's length, not real, or holds NaN, infinity or a negative value.
    """
    distances = np.asarray(condensed)
    if distances.ndim != 1 or distances.dtype.kind not in "fiu":
        raise UsageError(
            f"distances have shape {distances.shape} and dtype {distances.dtype}; "
            "pass a condensed matrix: 1-D real numbers, as pairwise_distances(..., condensed=True) returns."
        )
    count_points(distances)
    low, high = distances.min(initial=0), distances.max(initial=0)
    if not (low >= 0 and np.isfinite(high)):
        at = int(np.flatnonzero(~((distances >= 0) & np.isfinite(distances)))[0])
        raise UsageError(f"distance {at} is {distances[at]}; distances must be finite and not negative.")
    return distances if distances.dtype.itemsize > 2 else distances.astype(np.float32)


def linkage(condensed: Any, method: Method = "ward", *, overwrite: bool = False) -> np.ndarray:
    """Cluster agglomeratively, as ``scipy.cluster.hierarchy.linkage`` on a condensed matrix does.

    The nearest-neighbour chain in float32, in place on one copy of the matrix; a minimum spanning tree
    for ``single``. Heights agree with SciPy's float64 to about 1e-6 relative.

    Parameters
    ----------
    condensed : array_like, shape (N (N - 1) / 2,)
        Distances; for ``ward`` Euclidean ones.
    method : {"ward", "average", "complete", "weighted", "single"}
        How the distance of a union follows from those of its parts.
    overwrite : bool
        Work in `condensed` itself, if it is contiguous float32, and leave it destroyed.

    Returns
    -------
    ndarray, (N - 1, 4) float64
        SciPy's Z: the two clusters merged, height, size; ordered by height.

    Raises
    ------
    UsageError
        If the method is unknown or the distances are not a finite condensed matrix.
    """
    if method not in _METHODS:
        raise UsageError(f"linkage method '{method}' is unknown; choose one of: {', '.join(_METHODS)}.")
    distances = check_condensed(condensed)
    n = count_points(distances)
    merges = np.empty((max(n - 1, 0), 3))
    if method == "single":
        # Distances beyond float32 in units near the largest; a power of two changes no digit.
        unit = 1.0
        if n > 1 and float(distances.max()) > float(np.finfo(np.float32).max):
            unit = 2.0 ** math.frexp(float(distances.max()))[1]
            distances = distances / unit
        chain.spanning_tree(np.ascontiguousarray(distances, np.float32), n, merges)
        merges[:, 2] *= unit
    elif n > 1:
        # In units near the largest distance, squares neither overflow nor vanish.
        unit = 2.0 ** math.frexp(float(distances.max()))[1]
        work = distances if overwrite else np.empty(len(distances), np.float32)
        if work.dtype != np.float32 or not work.flags.c_contiguous or not work.flags.writeable:
            raise UsageError("overwrite needs contiguous, writeable float32 distances; leave it out.")
        chain.pack(distances, n, 1 / unit, method == "ward", work)
        _grow(work, n, _CODES[method], merges)
        if method == "ward":
            np.sqrt(merges[:, 2], out=merges[:, 2])
        merges[:, 2] *= unit
    z = np.empty((len(merges), 4))
    chain.label(merges[np.argsort(merges[:, 2], kind="stable")], z)
    return z


def _grow(work: np.ndarray, n: int, method: int, merges: np.ndarray) -> None:
    """Write all merges, shrinking the matrix as clusters die."""
    slots, sizes, heights = np.arange(n), np.ones(n, np.float32), np.zeros(n, np.float32)
    links, length, step = np.empty(n, np.int64), 0, max(1000, n // 100)
    with progress("linkage", n - 1, "merges") if n >= LONG else nullcontext(lambda count: None) as advance:
        alive = n
        for first in range(0, n - 1, step):
            last = min(n - 1, first + step)
            state = (slots, sizes, heights, links, length)
            length = chain.grow(work, work.view(np.int32), len(slots), *state, method, merges, first, last)
            alive -= last - first
            if alive < _COMPACT_AT * len(slots):
                kept = np.flatnonzero(sizes)
                chain.compact(work, len(slots), kept)
                links[:length] = np.searchsorted(kept, links[:length])
                slots, sizes, heights = slots[kept], sizes[kept], heights[kept]
            advance(last - first)
