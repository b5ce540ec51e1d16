"""The distances of one call, by tiles of a matrix product and blocks of features."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from hudd.distances import kernels
from hudd.distances.rows import Rows
from hudd.distances.threads import Each, strips
from hudd.errors import HuddError, UsageError
from hudd.progress import progress

_Tile = tuple[int, int, int, int]  # first row and column, last row and column

# A Gram value of a BLAS carries an error of up to about 4e-6 of the norms in the worst case (384 equal
# terms summed in float32): at this share and above it moves a distance by less than 1e-5.
SHARE = np.float32(0.3)
_PROPORTIONAL = 1e-15  # what rounding leaves between rows of norm 1 that were multiples of each other
_TILE = 512
_VIEW = 16384  # features of one product of rows that are multiplied where they lie
_LONG = 2 * 10**11  # pairs times features from which on a bar is worth its line


class Job:
    """One call: the rows, the flat buffer of distances and how pairs map to it."""

    def __init__(
        self, X: Any, Y: Any, condensed: bool, unit_norm: bool, squared: bool, memory: int, each: Each
    ) -> None:
        self.sources = [
            Rows(rows, name=name, unit_norm=unit_norm, memory=memory // 8, each=each)
            for rows, name in ((X, "X"), (Y, "Y"))
            if rows is not None or name == "X"
        ]
        x, y = self.sources[0], self.sources[-1]
        if x.features != y.features or (x.axes != y.axes and not (x.in_memory or y.in_memory)):
            raise UsageError(f"rows of X have shape {x.axes} and rows of Y {y.axes}; they must agree.")
        self.n, self.m, self.features = x.count, y.count, x.features
        self.rows = sum(source.count for source in self.sources)
        self.triangle, self.condensed, self.squared = Y is None, condensed, squared
        self.unit_norm = unit_norm
        self.memory, self.each = memory, each
        rows = np.arange(self.n, dtype=np.int64)
        self.offsets = rows * (2 * self.n - rows - 1) // 2 - rows - 1 if condensed else rows * self.m
        self.out = np.empty(self.n * (self.n - 1) // 2 if condensed else self.n * self.m, np.float32)
        self.largest = max(source.largest for source in self.sources)
        # A power of two that brings the largest norm near 1, so that squares neither overflow nor vanish.
        self.unit = 2.0 ** max(-120, min(120, -math.frexp(self.largest)[1]))
        self.inverse = np.float32(1.0 / self.unit)
        self.working = np.result_type(*(source.working for source in self.sources))
        if unit_norm:  # close rows are told apart before what they are divided by is rounded away
            self.working = np.dtype(np.float64)
        # Blocks of features follow the axes of what is not in memory.
        self.plan = next((source for source in self.sources if not source.in_memory), x)

    def run(self, *, direct: bool) -> None:
        """Fill the buffer."""
        if not self.features:
            self.out.fill(0.0)
            return
        if direct:
            self.out.fill(-0.0)  # marks every pair
        if direct or self._gram():
            self._differences()

    def result(self) -> np.ndarray:
        """Return the distances in the shape asked for."""
        bound = (2.0 * self.largest) ** (2 if self.squared else 1)
        if bound > float(np.finfo(np.float32).max) and not np.isfinite(self.out).all():
            raise HuddError("a distance exceeds the largest float32; scale the rows down.")
        if self.unit_norm:
            least = _PROPORTIONAL ** (2 if self.squared else 1)
            self.each(_drop, ((self.out[part], least) for part in strips(0, self.out.size, 1 << 20)))
        if self.condensed:
            return self.out
        square = self.out.reshape(self.n, self.m)
        if self.triangle:
            self.each(kernels.mirror, ((square, rows.start, rows.stop) for rows in strips(0, self.n, 256)))
        return square

    def shift(self) -> np.ndarray:
        """Return about the mean row, (D,) float64: distances do not change when it is taken off."""
        sums, counts = zip(*(source.sums() for source in self.sources))
        mean: np.ndarray = np.sum(sums, axis=0) / max(sum(counts), 1)
        return mean

    def _gram(self) -> int:
        """Fill the buffer from the Gram matrix; return the number of marked pairs."""
        tiles = sorted(self._tiles(), key=lambda tile: tile[0] == tile[1])  # half the work, so last
        shift = self.shift()
        scale = np.concatenate([source.scale for source in self.sources])
        norms = np.concatenate([source.norms for source in self.sources]) * scale
        marked: list[int] = []
        if self._as_they_lie(shift, norms):
            squares, inverse, blocks, limit = norms**2, np.float32(1), self._views(), _VIEW
        else:
            squares, inverse, limit = np.zeros(self.rows), self.inverse, self._limit(np.dtype(np.float32))
            scale, everyone = np.ones(self.rows), [np.arange(source.count) for source in self.sources]
            blocks = self._blocks(np.dtype(np.float32), everyone, shift, squares)
        done = 0
        with self._bar(len(tiles), limit) as advance:
            for left, right in blocks:
                first, done = done == 0, done + left.shape[1]
                finish = None
                if done == self.features:
                    sides = [part.astype(np.float32) for part in (scale, squares)]
                    finish = (*self._sides(sides[0]), *self._sides(sides[1]), SHARE, inverse, self.squared)
                calls = ((tile, left, right, first, finish, advance) for tile in tiles)
                marked = self.each(self._multiply, calls)
        return sum(marked)

    def _as_they_lie(self, shift: np.ndarray, norms: np.ndarray) -> bool:
        """Say whether rows may be multiplied in place: float32 of middling size, and centred enough already."""
        if not all(source.plain for source in self.sources) or not 1e-6 <= self.largest <= 1e15:
            return False
        raw = np.concatenate([source.norms for source in self.sources])
        middling = bool((((raw >= 1e-12) & (raw <= 1e15)) | (raw == 0)).all())
        return middling and float(shift @ shift) < 0.1 * float(np.mean(norms**2))

    def _views(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for columns in self.plan.column_blocks(_VIEW):
            views = [source.read(slice(None), columns) for source in self.sources]
            yield views[0], views[-1]

    def _sides(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split something of all rows into that of the buffer's rows and that of its columns."""
        return rows[: self.n], rows[self.rows - self.m :]

    def _bar(self, tiles: int, limit: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of the matrix product, if it is long."""
        if self.out.size * self.features < _LONG:
            return nullcontext(lambda count: None)
        return progress("distances", tiles * sum(1 for _ in self.plan.column_blocks(limit)), "tiles")

    def _multiply(
        self,
        tile: _Tile,
        left: np.ndarray,
        right: np.ndarray,
        first: bool,
        finish: tuple[Any, ...] | None,
        advance: Callable[[int], None],
    ) -> int:
        """Add one tile of a block's Gram matrix; or finish it and count marked pairs."""
        advance(1)
        i0, j0, i1, j1 = tile
        place = (left[i0:i1] @ right[j0:j1].T, i0, j0, self.triangle, self.offsets, self.out, first)
        if finish is None:
            kernels.add_gram(*place)
            return 0
        return kernels.finish_gram(*place, *finish)

    def _differences(self) -> None:
        """Compute the marked pairs.

        Rows without a mark are left out, and rows marked with the same row put side by side: marks then
        fill few blocks, which are computed four rows by four.
        """
        place = (self.triangle, self.offsets, self.out)
        parts = [(part.start, part.stop, self.n, *place) for part in strips(0, self.m, 256)]
        rows, first = np.zeros(self.n, np.bool_), np.full(self.m, -1)
        self.each(kernels.find_marked, ((*part, rows, first) for part in parts))
        if self.triangle:
            members = [_side_by_side(np.flatnonzero(rows | (first >= 0)), first)]
        else:
            columns = np.flatnonzero(first >= 0)
            members = [np.flatnonzero(rows), columns[np.argsort(first[columns], kind="stable")]]
        sides = (members[0], members[-1])
        busy = np.zeros([-(-len(side) // kernels.BLOCK) for side in sides], np.bool_)
        at = [_places(side, count) for side, count in zip(sides, (self.n, self.m))]
        self.each(kernels.find_blocks, ((*part, *at, busy) for part in parts))
        blocks = np.argwhere(busy)
        tasks = [blocks[p] for p in strips(0, len(blocks), min(max(len(blocks) // 64, 1), 64))]
        shift, squares, done = np.zeros(self.features), np.zeros(self.rows), 0
        for left, right in self._blocks(self.working, members, shift, squares):
            done += left.shape[1]
            finish = (done == self.features, self.inverse, self.squared)
            self.each(
                kernels.add_differences, ((left, right, *sides, task, *place, *finish) for task in tasks)
            )

    def _tiles(self) -> Iterator[_Tile]:
        for rows in strips(0, self.n, _TILE):
            for columns in strips(rows.start if self.triangle else 0, self.m, _TILE):
                yield rows.start, columns.start, rows.stop, columns.stop

    def _limit(self, dtype: np.dtype) -> int:
        """Return how many features a block of all rows may have."""
        return max(1, self.memory // 2 // max(1, self.rows * dtype.itemsize))

    def _blocks(
        self, dtype: np.dtype, members: list[np.ndarray], shift: np.ndarray, squares: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield blocks of features of some rows of each source: those of the buffer's rows and columns.

        They are shifted and in units near the largest norm; their sums of squares go to `squares`.
        """
        limit = self._limit(dtype)
        ends = np.cumsum([0, *map(len, members)])
        buffer = np.empty(ends[-1] * min(limit, self.features), dtype)
        for columns in self.plan.column_blocks(limit):
            width = columns.stop - columns.start
            block = buffer[: ends[-1] * width].reshape(ends[-1], width)
            for source, rows, start, stop in zip(self.sources, members, ends, ends[1:]):
                source.load(columns, rows, shift, self.unit, block[start:stop], squares[start:stop])
            yield block[: len(members[0])], block[ends[-2] :]


def _drop(distances: np.ndarray, least: float) -> None:
    """Set distances below the least to 0."""
    distances[distances < least] = 0.0


def _side_by_side(rows: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Order rows so that those that go back to the same row, by ``first[i] < i`` or -1, are neighbours."""
    leader = np.where(first < 0, np.arange(len(first)), first)
    while True:
        further = leader[leader]
        if (further == leader).all():
            return rows[np.lexsort((rows, leader[rows]))]
        leader = further


def _places(members: np.ndarray, count: int) -> np.ndarray:
    """Return where each of `count` rows stands among the members."""
    places = np.zeros(count, np.int64)
    places[members] = np.arange(len(members))
    return places
