"""Ward's method on vectors: N x D memory where a distance matrix would not fit."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from hudd.clustering import chain
from hudd.clustering.chain import kernel
from hudd.clustering.linkage import LONG
from hudd.clustering.precomputed import as_array, refuse_distances
from hudd.distances import unit_norm_rows
from hudd.distances.kernels import square_norms
from hudd.errors import UsageError
from hudd.progress import progress

_FEATURES = 64
_COMPACT_AT = 0.7


@kernel
def _nearest(centres: np.ndarray, sizes: np.ndarray, x: int, previous: int) -> tuple[int, np.float32]:
    """Return the slot nearest to `x` in Ward's squared distance; `previous` wins ties, then the lowest.

    A sum of squares that already exceeds the best one is dropped: most rows are left after a few features.
    """
    n, width = centres.shape
    best, nearest = np.float32(np.inf), previous
    for turn in range(-1 if previous >= 0 else 0, n):
        i = previous if turn < 0 else turn
        if i == x or sizes[i] == 0 or (turn >= 0 and i == previous):
            continue
        factor = np.float32(2.0) * sizes[x] * sizes[i] / (sizes[x] + sizes[i])
        total = np.float32(0)
        for first in range(0, width, _FEATURES):
            part = np.float32(0)
            for f in range(first, min(first + _FEATURES, width)):
                part += (centres[x, f] - centres[i, f]) * (centres[x, f] - centres[i, f])
            total += part
            if total * factor >= best:
                break
        if total * factor < best:
            best, nearest = total * factor, i
    return nearest, best


@kernel
def _grow(
    centres: np.ndarray,
    slots: np.ndarray,
    sizes: np.ndarray,
    heights: np.ndarray,
    links: np.ndarray,
    length: int,
    merges: np.ndarray,
    first: int,
    last: int,
) -> int:
    """Run the nearest-neighbour chain until merge `last`; return the chain's new length."""
    start = 0
    for k in range(first, last):
        if length == 0:
            while sizes[start] == 0:
                start += 1
            links[0] = start
            length = 1
        while True:
            x = links[length - 1]
            previous = links[length - 2] if length > 1 else -1
            y, square = _nearest(centres, sizes, x, previous)
            if y == previous:
                break
            links[length] = y
            length += 1
        length -= 2
        low, high = min(x, y), max(x, y)
        height = max(np.sqrt(square), heights[low], heights[high])
        merges[k, 0], merges[k, 1], merges[k, 2] = slots[low], slots[high], height
        heights[high] = height
        share = sizes[low] / (sizes[low] + sizes[high])
        for f in range(centres.shape[1]):
            centres[high, f] += share * (centres[low, f] - centres[high, f])
        sizes[high] += sizes[low]
        sizes[low] = 0
    return length


def linkage_vectors(X: Any, method: str = "ward", *, unit_norm: bool = False) -> np.ndarray:
    """Cluster rows by Ward's method without a distance matrix, for more of them than :func:`linkage` has memory for.

    The nearest-neighbour chain on the clusters' centres, in float32: O(N D) memory and O(N^2 D) time,
    less what stopping early saves. Heights are those of :func:`hudd.clustering.linkage` on the rows'
    distances to about 1e-7 of the highest.

    Parameters
    ----------
    X : array_like, shape (N, ...)
        One item a row.
    method : {"ward"}
        Other methods need all distances.
    unit_norm : bool
        Divide each row by its Euclidean norm first; zero rows stay zero.

    Returns
    -------
    ndarray, (N - 1, 4) float64
        SciPy's Z.

    Raises
    ------
    UsageError
        If there are no rows, a value is NaN or infinite, or the method is another one; the message names the row.
    """
    if method != "ward":
        raise UsageError(f"method must be 'ward', not {method!r}; hudd.linkage has others, from distances.")
    rows = np.asarray(as_array(X))
    if rows.ndim < 2 or not len(rows):
        raise UsageError(f"rows have shape {rows.shape}; give one row of features an item, shape (N, ...).")
    refuse_distances(rows, "give them condensed to hudd.linkage")
    norms = np.empty(len(rows))
    units = unit_norm_rows(rows) if unit_norm else rows
    centres = np.array(units, np.float32).reshape(len(rows), -1)
    square_norms(centres, norms)
    if not np.isfinite(norms).all():
        row = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise UsageError(f"row {row} holds NaN or an infinite value; fix or leave out that row.")
    # Squares neither overflow nor vanish near 1; the widest features come first, so sums grow fast.
    centres -= centres.mean(axis=0, dtype=np.float64).astype(np.float32)
    unit = np.float32(2.0 ** np.frexp(np.abs(centres).max(initial=0.0))[1])
    centres /= unit
    centres = np.ascontiguousarray(centres[:, np.argsort(-centres.var(axis=0), kind="stable")])
    n, length = len(centres), 0
    merges, links = np.empty((n - 1, 3)), np.empty(n, np.int64)
    slots, sizes, heights = np.arange(n), np.ones(n, np.float32), np.zeros(n, np.float32)
    step = max(1000, n // 100)
    with progress("linkage", n - 1, "merges") if n >= LONG else nullcontext(lambda count: None) as advance:
        for first in range(0, n - 1, step):
            last = min(n - 1, first + step)
            length = _grow(centres, slots, sizes, heights, links, length, merges, first, last)
            kept = np.flatnonzero(sizes)
            if len(kept) < _COMPACT_AT * len(slots):
                links[:length] = np.searchsorted(kept, links[:length])
                centres, slots, sizes, heights = centres[kept], slots[kept], sizes[kept], heights[kept]
            advance(last - first)
    merges[:, 2] *= unit
    z = np.empty((len(merges), 4))
    chain.label(merges[np.argsort(merges[:, 2], kind="stable")], z)
    return z
