# mypy: allow-untyped-defs
"""Numba kernels on rows in float64: distances of centres, the nearest-neighbour chain, and a minimum spanning tree.

A centre is a row of the data plus an offset, see :class:`hudd.clustering.centres.Centres`.

The chains, on a small matrix and on centres, go as SciPy's does: from the first cluster on, the last but one of a
chain wins ties, then the lowest; of two merged clusters the higher place is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hudd.caches import compiled

kernel: Any = compiled(
    nogil=True
)  # no fastmath: the arithmetic on the matrix is SciPy's, so that ties stay ties
reordered: Any = compiled(nogil=True, fastmath={"reassoc"})
_FEATURES = 64
_FIRST_FEATURES = 16  # of a distance, before it is compared with the best one


@kernel
def on_matrix(d, sizes, heights, names, merges):
    """Cluster by a square matrix `d`, (n, n) float64, of Ward's distances, which is used up.

    `sizes` and `heights`, (n,) float64, are the clusters', `names`, (n,) int64, a row of each; `merges` is
    (n - 1, 3) float64: two rows and a height each.
    """
    n = len(sizes)
    links, length, start = np.empty(n, np.int64), 0, 0
    for k in range(n - 1):
        if length == 0:
            while sizes[start] == 0:
                start += 1
            links[0] = start
            length = 1
        while True:
            x = links[length - 1]
            y = previous = links[length - 2] if length > 1 else -1
            least = d[x, previous] if length > 1 else np.inf
            for i in range(n):
                if d[x, i] < least and i != x and sizes[i] > 0:
                    least, y = d[x, i], i
            if y == previous:
                break
            links[length] = y
            length += 1
        length -= 2
        low, high = min(x, y), max(x, y)
        merges[k, 0], merges[k, 1] = names[low], names[high]
        # Rounding must not put a union below its parts.
        merges[k, 2] = heights[high] = max(least, heights[low], heights[high])
        a, b = sizes[low], sizes[high]
        sizes[low], sizes[high] = 0, a + b
        for i in range(n):
            c = sizes[i]
            if c > 0 and i != high:
                t = 1.0 / (a + b + c)
                to_a, to_b = d[i, low], d[i, high]
                square = (c + a) * t * to_a * to_a + (c + b) * t * to_b * to_b - c * t * least * least
                d[i, high] = d[high, i] = np.sqrt(max(square, 0.0))


@kernel
def square_differences(rows, names, offsets, a, b, out):
    """Write the squared distances of the centres `a` to the centres `b` to `out`, (p,) float64.

    Terms are added in the order of :func:`hudd.clustering.centres.sum_in_halves`.
    """
    terms = np.empty(rows.shape[1])
    for p in range(len(a)):
        x, y = rows[names[a[p]]], rows[names[b[p]]]
        x_offset, y_offset = offsets[a[p]], offsets[b[p]]
        width = len(terms)
        for f in range(width):
            terms[f] = (x[f] - y[f]) + (x_offset[f] - y_offset[f])
            terms[f] *= terms[f]
        while width > 1:
            half = width // 2
            if width % 2:
                terms[0] += terms[width - 1]
            for f in range(half):
                terms[f] += terms[half + f]
            width = half
        out[p] = terms[0]


@reordered
def matrix(rows, names, offsets, sizes, d):
    """Write Ward's distances of all clusters to one another to `d`, (n, n) float64."""
    for i in range(len(names)):
        d[i, i] = 0.0
        for j in range(i):
            square = 0.0
            for f in range(rows.shape[1]):
                term = (rows[names[i], f] - rows[names[j], f]) + (offsets[i, f] - offsets[j, f])
                square += term * term
            d[i, j] = d[j, i] = np.sqrt(square * (2.0 * sizes[i] * sizes[j] / (sizes[i] + sizes[j])))


@reordered
def _nearest(rows, names, offsets, sizes, x, previous):
    """Return the cluster nearest to `x` and Ward's squared distance.

    A sum of squares that already exceeds the best one is dropped.
    """
    n, width = len(names), rows.shape[1]
    best, nearest = np.inf, previous
    for turn in range(-1 if previous >= 0 else 0, n):
        i = previous if turn < 0 else turn
        if i == x or sizes[i] == 0 or (turn >= 0 and i == previous):
            continue
        factor = 2.0 * sizes[x] * sizes[i] / (sizes[x] + sizes[i])
        total = 0.0
        for first in range(0, width, _FEATURES):
            part = 0.0
            for f in range(first, min(first + _FEATURES, width)):
                term = (rows[names[x], f] - rows[names[i], f]) + (offsets[x, f] - offsets[i, f])
                part += term * term
            total += part
            if total * factor >= best:
                break
        if total * factor < best:
            best, nearest = total * factor, i
    return nearest, best


@kernel
def on_centres(rows, names, offsets, sizes, heights, links, length, merges, first, last):
    """Run the chain from merge `first` to `last`; return the chain's new length.

    `links`, (n,) int64, holds the chain. All is updated in place; a cluster that is gone has size 0.
    """
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
            y, square = _nearest(rows, names, offsets, sizes, x, previous)
            if y == previous:
                break
            links[length] = y
            length += 1
        length -= 2
        low, high = min(x, y), max(x, y)
        merges[k, 0], merges[k, 1] = names[low], names[high]
        merges[k, 2] = heights[high] = max(np.sqrt(square), heights[low], heights[high])
        share = sizes[low] / (sizes[low] + sizes[high])
        for f in range(rows.shape[1]):
            step = (rows[names[low], f] - rows[names[high], f]) + (offsets[low, f] - offsets[high, f])
            offsets[high, f] += share * step
        sizes[high] += sizes[low]
        sizes[low] = 0
    return length


@reordered
def spanning_tree(rows, reach, done, merges, x, first, last):
    """Run Prim's algorithm from edge `first` to `last`, beginning at row `x`; return the row to go on from.

    `reach`, (n,) float64, holds the least square of each row's distances to those that are `done`, (n,) bool;
    `merges` is (n - 1, 3) float64: the row joined before, the row joined, the height. All is updated in place. A sum
    of squares that exceeds the least one is dropped; of several at the same distance the lowest row is joined.
    """
    n, width = rows.shape
    for k in range(first, last):
        done[x] = True
        best, nearest = np.inf, -1
        for i in range(n):
            if done[i]:
                continue
            total = 0.0
            for start in range(0, width, _FIRST_FEATURES):
                part = 0.0
                for f in range(start, min(start + _FIRST_FEATURES, width)):
                    term = rows[x, f] - rows[i, f]
                    part += term * term
                total += part
                if total >= reach[i]:
                    break
            reach[i] = min(reach[i], total)
            if nearest < 0 or reach[i] < best:
                best, nearest = reach[i], i
        merges[k, 0], merges[k, 1], merges[k, 2] = x, nearest, np.sqrt(best)
        x = nearest
    return x
