"""Numba kernels of hierarchical clustering on a condensed float32 matrix.

F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer Journal 26,
1983: the nearest-neighbour chain. D. Müllner, "Modern hierarchical, agglomerative clustering algorithms",
arXiv 1109.2378, 2011: the update formulas and the order of merges.

Slot ``i`` holds a cluster; of two merged slots the lower one dies. Distances to dead slots are infinite,
so no loop asks who is alive. Distances are never negative, so their bits order as integers, whose
minimum a compiler can vectorise.

A condensed matrix keeps a row together but spreads a column over as many cache lines as it has elements.
So the matrix is packed: four rows make a panel, which lies where those rows lay. It holds the six
distances among its slots, then the distances to every later slot, four by four. Row and column now both
cost a line every four elements, half the memory traffic in all.
"""

from __future__ import annotations

import numpy as np

from hudd.caches import compiled

AVERAGE, COMPLETE, WEIGHTED, WARD = range(4)
_BLOCK = 512
_NONE = np.int32(2**31 - 1)

kernel = compiled(nogil=True, fastmath={"reassoc", "contract", "arcp"})
inlined = compiled(cached=False, inline="always", fastmath={"reassoc", "contract", "arcp"})


@inlined
def condensed_row(n: int, i: int) -> int:
    """Return where row `i` of a condensed matrix of `n` points would hold column 0."""
    return i * (2 * n - i - 1) // 2 - i - 1


@inlined
def _panel(n: int, p: int) -> int:
    """Return where a whole panel's distances to later slots would hold slot 0."""
    return condensed_row(n, 4 * p) + 4 * p + 7 - 4 * (4 * p + 4)


@inlined
def _at(n: int, i: int, j: int) -> int:
    """Return where the distance between slots ``i < j`` lies."""
    p = i // 4
    if j // 4 > p:
        return _panel(n, p) + 4 * j + i % 4
    width = min(4, n - 4 * p)
    return condensed_row(n, 4 * p) + 4 * p + 1 + condensed_row(width, i % 4) + j % 4


@kernel
def pack(condensed: np.ndarray, n: int, factor: float, square: bool, out: np.ndarray) -> None:
    """Write a condensed matrix, times `factor` and squared if asked, as panels; `out` may be the same."""
    panel = np.empty(4 * n, np.float32)
    for first in range(0, n, 4):
        last = min(first + 4, n)
        start = condensed_row(n, first) + first + 1
        size = condensed_row(n, last) + last + 1 - start
        for i in range(first, last):
            row, to = condensed_row(n, i), _panel(n, first // 4) + i % 4 - start
            for j in range(i + 1, n):
                value = np.float32(condensed[row + j] * factor)
                if square:
                    value *= value
                panel[to + 4 * j if j >= last else _at(n, i, j) - start] = value
        out[start : start + size] = panel[:size]


@kernel
def compact(d: np.ndarray, n: int, alive: np.ndarray) -> None:
    """Pack the distances among the slots `alive`, ascending, again at the front, in place."""
    m = len(alive)
    panel = np.empty(4 * m, np.float32)
    for first in range(0, m, 4):
        last = min(first + 4, m)
        start = condensed_row(m, first) + first + 1
        size = condensed_row(m, last) + last + 1 - start
        for i in range(first, last):
            for j in range(i + 1, min(i + 4, m)):
                panel[_at(m, i, j) - start] = d[_at(n, alive[i], alive[j])]
            row, to = _panel(n, alive[i] // 4) + alive[i] % 4, _panel(m, first // 4) + i % 4 - start
            for j in range(i + 4, m):
                panel[to + 4 * j] = d[row + 4 * alive[j]]
        d[start : start + size] = panel[:size]


@inlined
def _merged(
    method: int,
    to_x: np.float32,
    to_y: np.float32,
    between: np.float32,
    x_size: np.float32,
    y_size: np.float32,
    size: np.float32,
) -> np.float32:
    """Return the distance of a cluster to the union of x and y; Ward's distances are squared."""
    if method == AVERAGE:
        return (x_size * to_x + y_size * to_y) / (x_size + y_size)
    if method == COMPLETE:
        return max(to_x, to_y)
    if method == WEIGHTED:
        return np.float32(0.5) * (to_x + to_y)
    both = (x_size + size) * to_x + (y_size + size) * to_y - size * between
    return both / (x_size + y_size + size)


@kernel
def _nearest(bits: np.ndarray, n: int, x: int, previous: int) -> int:
    """Return the nearest slot to `x`; `previous` wins ties, then the lowest."""
    best, nearest = _NONE, previous
    if previous >= 0:
        best = bits[_at(n, min(x, previous), max(x, previous))]
    own = x // 4
    at = _panel(n, 0) + 4 * x
    for p in range(own):
        low = min(min(bits[at], bits[at + 1]), min(bits[at + 2], bits[at + 3]))
        if low < best:
            best, nearest = low, 4 * p
            while bits[at + nearest % 4] != low:
                nearest += 1
        at += 4 * n - 16 * p - 26
    for j in range(4 * own, min(4 * own + 4, n)):
        if j != x and bits[_at(n, min(j, x), max(j, x))] < best:
            best, nearest = bits[_at(n, min(j, x), max(j, x))], j
    base = _panel(n, own) + x % 4
    for first in range(4 * own + 4, n, _BLOCK):
        last = min(first + _BLOCK, n)
        low = best
        for j in range(first, last):
            low = min(low, bits[base + 4 * j])
        if low < best:
            best, nearest = low, first
            while bits[base + 4 * nearest] != low:
                nearest += 1
    return nearest


@kernel
def _merge(d: np.ndarray, n: int, x: int, y: int, sizes: np.ndarray, method: int) -> None:
    """Put the union of the slots ``x < y`` in `y` and kill `x`."""
    px, py = x // 4, y // 4
    between, x_size, y_size = d[_at(n, x, y)], sizes[x], sizes[y]
    dead = np.float32(np.inf)
    row_x, row_y = _panel(n, px) + x % 4, _panel(n, py) + y % 4
    at = _panel(n, 0)
    for p in range(py):
        if p < px:  # (slot, x) and (slot, y) lie by fours
            for r in range(4):
                to_x, to_y, size = d[at + 4 * x + r], d[at + 4 * y + r], sizes[4 * p + r]
                d[at + 4 * y + r] = _merged(method, to_x, to_y, between, x_size, y_size, size)
                d[at + 4 * x + r] = dead
        elif p > px:  # (x, slot) lie in a row, (slot, y) by fours
            for r in range(4):
                to_x, to_y, size = d[row_x + 16 * p + 4 * r], d[at + 4 * y + r], sizes[4 * p + r]
                d[at + 4 * y + r] = _merged(method, to_x, to_y, between, x_size, y_size, size)
                d[row_x + 16 * p + 4 * r] = dead
        at += 4 * n - 16 * p - 26
    for p in (px, py):
        for i in range(4 * p, min(4 * p + 4, n)):
            if i != x and i != y and (p == px or py != px):
                to_x, to_y = _at(n, min(i, x), max(i, x)), _at(n, min(i, y), max(i, y))
                d[to_y] = _merged(method, d[to_x], d[to_y], between, x_size, y_size, sizes[i])
                d[to_x] = dead
        if px == py:
            break
    for i in range(4 * py + 4, n):
        to_x, to_y = d[row_x + 4 * i], d[row_y + 4 * i]
        d[row_y + 4 * i] = _merged(method, to_x, to_y, between, x_size, y_size, sizes[i])
        d[row_x + 4 * i] = dead
    d[_at(n, x, y)] = dead
    sizes[y] += x_size
    sizes[x] = 0


@kernel
def grow(
    d: np.ndarray,
    bits: np.ndarray,
    n: int,
    slots: np.ndarray,
    sizes: np.ndarray,
    heights: np.ndarray,
    chain: np.ndarray,
    length: int,
    method: int,
    merges: np.ndarray,
    first: int,
    last: int,
) -> int:
    """Run the chain until merge `last`; return the chain's new length.

    `d` and `bits` are one packed buffer seen as float32 and int32. `slots` (n,) names a member of each
    slot's cluster, `sizes` (n,) float32 and `heights` (n,) float32 are the clusters'; `merges` is
    (N - 1, 3) float64: two members and a height each.
    """
    start = 0
    for k in range(first, last):
        if length == 0:
            while sizes[start] == 0:
                start += 1
            chain[0] = start
            length = 1
        while True:
            x = chain[length - 1]
            previous = chain[length - 2] if length > 1 else -1
            y = _nearest(bits, n, x, previous)
            if y == previous:
                break
            chain[length] = y
            length += 1
        length -= 2
        low, high = min(x, y), max(x, y)
        # Rounding must not put a union below its parts.
        height = max(d[_at(n, low, high)], heights[low], heights[high])
        merges[k, 0], merges[k, 1], merges[k, 2] = slots[low], slots[high], height
        heights[high] = height
        _merge(d, n, low, high, sizes, method)
    return length


@kernel
def spanning_tree(d: np.ndarray, n: int, merges: np.ndarray) -> None:
    """Write the edges of a minimum spanning tree to `merges`, (n - 1, 3) float64, by Prim's algorithm."""
    reach = np.full(n, np.inf, np.float32)
    done = np.zeros(n, np.bool_)
    x = 0
    for k in range(n - 1):
        done[x] = True
        best, nearest = np.float32(np.inf), -1
        at, base = x - 1, condensed_row(n, x)
        for i in range(n):
            if i < x:
                distance = d[at]
                at += n - 2 - i
            else:
                distance = d[base + i] if i > x else np.float32(0)
            if not done[i]:
                reach[i] = min(reach[i], distance)
                if nearest < 0 or reach[i] < best:
                    best, nearest = reach[i], i
        merges[k, 0], merges[k, 1], merges[k, 2] = x, nearest, best
        x = nearest


@kernel
def label(merges: np.ndarray, z: np.ndarray) -> None:
    """Name the clusters of merges sorted by height as SciPy does, in `z`, (n - 1, 4) float64."""
    n = len(merges) + 1
    parent = np.arange(2 * n - 1)
    sizes = np.ones(2 * n - 1)
    for k in range(n - 1):
        roots = (np.int64(merges[k, 0]), np.int64(merges[k, 1]))
        a, b = roots
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        parent[a] = parent[b] = n + k
        sizes[n + k] = sizes[a] + sizes[b]
        z[k, 0], z[k, 1], z[k, 2], z[k, 3] = min(a, b), max(a, b), merges[k, 2], sizes[n + k]
