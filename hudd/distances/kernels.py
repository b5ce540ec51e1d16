"""Numba kernels of the pairwise distances.

Distances lie in a flat float32 buffer: the pair ``(i, j)`` at ``offsets[i] + j``, whether the buffer is
condensed, square or rectangular. A set sign bit marks a pair still to be computed by direct differences;
its magnitude is the sum of squared differences so far. One buffer thus serves as Gram matrix, work list
and result, and nothing else of size N x N is ever held.

Tiles are given by their first pair ``(i0, j0)``; `triangle` leaves out all but the pairs ``i < j``.
"""

from __future__ import annotations

import numpy as np

from hudd.caches import compiled

# NaN, infinity and the sign of zero carry meaning here: sums may be reassociated, no more than that.
kernel = compiled(nogil=True, fastmath={"reassoc", "contract"})
inlined = compiled(cached=False, inline="always", fastmath={"reassoc", "contract"})

BLOCK = 64  # rows of a block of differences: two of 64 x 1,024 float32 stay in the second-level cache
_FEATURES = 1024
VANISHING = np.float32(1e-24)  # sums of squares below this may hold squares that float32 cannot


@kernel
def square_norms(x: np.ndarray, squares: np.ndarray) -> None:
    """Write each row's sum of squares to `squares`, (n,) float64. NaN and infinity show in it."""
    for i in range(x.shape[0]):
        total = 0.0
        for f in range(x.shape[1]):
            total += np.float64(x[i, f]) * np.float64(x[i, f])
        squares[i] = total


@kernel
def add_rows(x: np.ndarray, scale: np.ndarray, sums: np.ndarray) -> None:
    """Add ``scale[i] * x[i]`` over all rows to `sums`, (k,) float64."""
    for i in range(x.shape[0]):
        for f in range(x.shape[1]):
            sums[f] += scale[i] * x[i, f]


@kernel
def load(
    x: np.ndarray,
    rows: np.ndarray,
    at: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    unit: np.float32,
    out: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Write ``(x[i] * scale[i] - shift) * unit`` to ``out[p]`` for every ``i, p`` of `rows` and `at`.

    `x` is (n, k); `scale` (n,) and `shift` (k,) are float64; `out` is (., k) float32 or float64. The
    written rows' sums of squares are added to ``squares[p]``.
    """
    for t in range(len(rows)):
        i, p = rows[t], at[t]
        for f in range(x.shape[1]):
            out[p, f] = (x[i, f] * scale[i] - shift[f]) * unit
        total = 0.0
        for f in range(x.shape[1]):
            total += np.float64(out[p, f]) * np.float64(out[p, f])
        squares[p] += total


@kernel
def add_gram(
    tile: np.ndarray, i0: int, j0: int, triangle: bool, offsets: np.ndarray, out: np.ndarray, first: bool
) -> None:
    """Add a tile of the Gram matrix to the buffer; `first` sets it."""
    for r in range(tile.shape[0]):
        base = offsets[i0 + r] + j0
        for c in range(max(0, i0 + r + 1 - j0) if triangle else 0, tile.shape[1]):
            out[base + c] = tile[r, c] if first else tile[r, c] + out[base + c]


@kernel
def finish_gram(
    tile: np.ndarray,
    i0: int,
    j0: int,
    triangle: bool,
    offsets: np.ndarray,
    out: np.ndarray,
    first: bool,
    row_scale: np.ndarray,
    column_scale: np.ndarray,
    row_squares: np.ndarray,
    column_squares: np.ndarray,
    share: np.float32,
    unit: np.float32,
    squared: bool,
) -> int:
    """Turn the last tile of the Gram matrix and, unless `first`, what the buffer holds into distances.

    Products are scaled by row and column; `row_squares` and `column_squares` are the scaled rows' squared
    norms. A pair whose squared distance is below `share` of its two squared norms is marked instead, and
    so is one whose norms are so small that products may have vanished. Returns the number of pairs marked.
    """
    marked = 0
    for r in range(tile.shape[0]):
        base = offsets[i0 + r] + j0
        norm, scale = row_squares[i0 + r], row_scale[i0 + r]
        for c in range(max(0, i0 + r + 1 - j0) if triangle else 0, tile.shape[1]):
            gram = tile[r, c] if first else tile[r, c] + out[base + c]
            both = norm + column_squares[j0 + c]
            square = both - np.float32(2.0) * (gram * scale * column_scale[j0 + c])
            keep = (square >= share * both) & ((both >= VANISHING) | (both == 0))
            square = max(square, np.float32(0.0))
            value = square * unit * unit if squared else np.sqrt(square) * unit
            out[base + c] = value if keep else np.float32(-0.0)
            marked += not keep
    return marked


@kernel
def find_marked(
    j0: int,
    j1: int,
    n: int,
    triangle: bool,
    offsets: np.ndarray,
    out: np.ndarray,
    rows: np.ndarray,
    first: np.ndarray,
) -> None:
    """Set ``rows[i]`` for every row with a marked pair in these columns, and ``first[j]`` to the first such row."""
    for i in range(n):
        for j in range(max(j0, i + 1) if triangle else j0, j1):
            if np.signbit(out[offsets[i] + j]):
                rows[i] = True
                if first[j] < 0:
                    first[j] = i


@kernel
def find_blocks(
    j0: int,
    j1: int,
    n: int,
    triangle: bool,
    offsets: np.ndarray,
    out: np.ndarray,
    row_at: np.ndarray,
    column_at: np.ndarray,
    blocks: np.ndarray,
) -> None:
    """Set the block of `BLOCK` x `BLOCK` places of every marked pair in these columns.

    ``row_at[i]`` and ``column_at[j]`` are the places of row i and column j.
    """
    for i in range(n):
        for j in range(max(j0, i + 1) if triangle else j0, j1):
            if np.signbit(out[offsets[i] + j]):
                p, q = row_at[i] // BLOCK, column_at[j] // BLOCK
                if triangle:
                    p, q = min(p, q), max(p, q)
                blocks[p, q] = True


@inlined
def _four_by_four(
    a: np.ndarray, b: np.ndarray, i: int, j: int, first: int, last: int, sums: np.ndarray
) -> None:
    """Sum squared differences of four rows of `a` with four of `b`: 16 accumulators in registers."""
    zero = a.dtype.type(0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
    for f in range(first, last):
        a0, a1, a2, a3 = a[i, f], a[i + 1, f], a[i + 2, f], a[i + 3, f]
        b0, b1, b2, b3 = b[j, f], b[j + 1, f], b[j + 2, f], b[j + 3, f]
        s00 += (a0 - b0) * (a0 - b0)
        s01 += (a0 - b1) * (a0 - b1)
        s02 += (a0 - b2) * (a0 - b2)
        s03 += (a0 - b3) * (a0 - b3)
        s10 += (a1 - b0) * (a1 - b0)
        s11 += (a1 - b1) * (a1 - b1)
        s12 += (a1 - b2) * (a1 - b2)
        s13 += (a1 - b3) * (a1 - b3)
        s20 += (a2 - b0) * (a2 - b0)
        s21 += (a2 - b1) * (a2 - b1)
        s22 += (a2 - b2) * (a2 - b2)
        s23 += (a2 - b3) * (a2 - b3)
        s30 += (a3 - b0) * (a3 - b0)
        s31 += (a3 - b1) * (a3 - b1)
        s32 += (a3 - b2) * (a3 - b2)
        s33 += (a3 - b3) * (a3 - b3)
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3] = s00, s01, s02, s03
    sums[1, 0], sums[1, 1], sums[1, 2], sums[1, 3] = s10, s11, s12, s13
    sums[2, 0], sums[2, 1], sums[2, 2], sums[2, 3] = s20, s21, s22, s23
    sums[3, 0], sums[3, 1], sums[3, 2], sums[3, 3] = s30, s31, s32, s33


@inlined
def _one_by_one(a: np.ndarray, b: np.ndarray, i: int, j: int, first: int, last: int) -> np.floating:
    """Sum squared differences of one row of `a` with one of `b`."""
    total: np.floating = a.dtype.type(0)
    for f in range(first, last):
        total += (a[i, f] - b[j, f]) * (a[i, f] - b[j, f])
    return total


@inlined
def _place(offsets: np.ndarray, i: int, j: int, triangle: bool) -> int:
    """Return where the pair lies; in a triangle the lower row comes first."""
    place: int = offsets[min(i, j)] + max(i, j) if triangle else offsets[i] + j
    return place


@kernel
def add_differences(
    a: np.ndarray,
    b: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    blocks: np.ndarray,
    triangle: bool,
    offsets: np.ndarray,
    out: np.ndarray,
    done: bool,
    unit: np.float32,
    squared: bool,
) -> None:
    """Add these features' squared differences to every marked pair of some blocks of places.

    `a` (n, k) and `b` (m, k) hold features of the rows `rows` and `columns` of the buffer; `blocks` is
    (., 2). When all features are `done`, the sums become distances.
    """
    sums = np.empty((4, 4), a.dtype)
    marked = np.empty((BLOCK, BLOCK), np.bool_)
    found = np.empty((BLOCK, BLOCK), a.dtype)
    count = np.empty((BLOCK // 4, BLOCK // 4), np.int64)
    for block in range(len(blocks)):
        p, q = BLOCK * blocks[block, 0], BLOCK * blocks[block, 1]
        height, width = min(BLOCK, len(rows) - p), min(BLOCK, len(columns) - q)
        count[:] = 0
        for r in range(height):
            for c in range(width):
                mark = not triangle or q + c > p + r
                if mark:
                    mark = np.signbit(out[_place(offsets, rows[p + r], columns[q + c], triangle)])
                marked[r, c] = mark
                found[r, c] = 0
                count[r // 4, c // 4] += mark
        for first in range(0, a.shape[1], _FEATURES):
            last = min(first + _FEATURES, a.shape[1])
            for r in range(0, height, 4):
                for c in range(0, width, 4):
                    if count[r // 4, c // 4] > 3 and r + 4 <= height and c + 4 <= width:
                        _four_by_four(a, b, p + r, q + c, first, last, sums)
                        found[r : r + 4, c : c + 4] += sums
                    elif count[r // 4, c // 4] > 0:
                        for s in range(r, min(r + 4, height)):
                            for t in range(c, min(c + 4, width)):
                                if marked[s, t]:
                                    found[s, t] += _one_by_one(a, b, p + s, q + t, first, last)
        for r in range(height):
            for c in range(width):
                if marked[r, c]:
                    at = _place(offsets, rows[p + r], columns[q + c], triangle)
                    out[at] -= found[r, c]
                    if done:
                        square = -out[at]
                        out[at] = square * unit * unit if squared else np.sqrt(square) * unit


@kernel
def mirror(square: np.ndarray, i0: int, i1: int) -> None:
    """Copy the strict upper triangle of columns `i0` to `i1` to the rows below and zero their diagonal."""
    for j0 in range(0, i1, BLOCK):
        for i in range(i0, i1):
            for j in range(j0, min(j0 + BLOCK, i)):
                square[i, j] = square[j, i]
    for i in range(i0, i1):
        square[i, i] = 0
