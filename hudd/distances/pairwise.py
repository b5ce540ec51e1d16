"""Pairwise Euclidean distances: exact to float32 at the speed of a matrix product.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` needs one symmetric matrix product, but loses the digits of close
pairs to cancellation. So the columns are centred first (distances do not change, the norms shrink), every
pair whose squared distance is still a small share of its two squared norms is marked, and marked pairs are
recomputed by direct differences. Both passes go by blocks of features, so rows may lie in a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np

from hudd.distances import kernels
from hudd.distances.rows import Rows
from hudd.distances.threads import Each, strips, workers
from hudd.errors import HuddError, UsageError
from hudd.progress import progress

Method = Literal["auto", "gram", "direct"]
_Tile = tuple[int, int, int, int]  # first row and column, last row and column

# A Gram value of a BLAS carries an error of up to about 4e-6 of the norms in the worst case (384 equal
# terms summed in float32): at this share and above it moves a distance by less than 1e-5.
_SHARE = np.float32(0.3)
_TILE = 512
_LONG = 2 * 10**11  # pairs times features from which on a bar is worth its line
_DEFAULT_MEMORY = 256 << 20


def pairwise_distances(
    X: Any,
    Y: Any = None,
    *,
    method: Method = "auto",
    squared: bool = False,
    condensed: bool = False,
    unit_norm: bool = False,
    device: Any = None,
    max_memory: int = _DEFAULT_MEMORY,
) -> np.ndarray:
    """Compute the Euclidean distances between the rows of X, or between those of X and those of Y.

    Parameters
    ----------
    X : array_like or h5py.Dataset, shape (N, ...)
        One item a row; trailing axes are flattened. Any real type; float16 is computed in float32, and
        close pairs of float64 in float64. Anything with ``shape``, ``dtype`` and basic slicing
        is read by blocks and never held whole.
    Y : array_like or h5py.Dataset, shape (M, ...), optional
        The other rows; same number of features.
    method : {"auto", "gram", "direct"}
        ``gram``: matrix product and refinement. ``direct``: differences of every pair. ``auto`` takes
        ``direct`` for fewer than 16 features.
    squared : bool
        Return squared distances.
    condensed : bool
        Return the upper triangle of X against itself by rows, (N (N - 1) / 2,), as SciPy does.
    unit_norm : bool
        Divide each row by its Euclidean norm first, as :func:`unit_norm_rows` does.
    device : str or torch.device, optional
        A torch device, such as ``"cuda"``, to compute on; by default our own kernels on the processor.
    max_memory : int
        Bytes of working memory beside the result, about; at least 16 MiB.

    Returns
    -------
    ndarray, float32
        (N, N), (N, M) or condensed. Relative error at most 1e-5 for every pair, equal rows at distance
        0; differences below 1e-19 of the largest magnitude count as 0.

    Raises
    ------
    UsageError
        If shapes, types or options do not fit, or a value is NaN or infinite; the message names the row.
    HuddError
        If a distance exceeds float32.
    """
    if method not in ("auto", "gram", "direct"):
        raise UsageError(f"method '{method}' is unknown; choose one of: auto, gram, direct.")
    if condensed and Y is not None:
        raise UsageError("condensed distances are those of X with itself; leave out Y or condensed.")
    if max_memory < 16 << 20:
        raise UsageError(f"max_memory is {max_memory} bytes; give at least {16 << 20}.")
    with workers() as each:
        job = Job(X, Y, condensed, unit_norm, squared, max_memory, each)
        direct = method == "direct" or (method == "auto" and job.features < 16)
        if device is None:
            job.run(direct=direct)
        else:
            import torch

            from hudd.distances.device import fill

            fill(job, torch.device(device), float(_SHARE), direct=direct)
        return job.result()


class Job:
    """One call: the rows, the flat buffer of distances and how pairs map to it."""

    def __init__(
        self, X: Any, Y: Any, condensed: bool, unit_norm: bool, squared: bool, memory: int, each: Each
    ) -> None:
        self.sources = [
            Rows(rows, name=name, unit_norm=unit_norm, memory=memory // 8, each=each)
            for rows, name in ((X, "X"), (Y, "Y"))
            if rows is not None
        ]
        x, y = self.sources[0], self.sources[-1]
        if x.features != y.features or (x.axes != y.axes and not (x.in_memory or y.in_memory)):
            raise UsageError(f"rows of X have shape {x.axes} and rows of Y {y.axes}; they must agree.")
        self.n, self.m, self.features = x.count, y.count, x.features
        self.rows = sum(source.count for source in self.sources)
        self.triangle, self.condensed, self.squared = Y is None, condensed, squared
        self.memory, self.each = memory, each
        rows = np.arange(self.n, dtype=np.int64)
        self.offsets = rows * (2 * self.n - rows - 1) // 2 - rows - 1 if condensed else rows * self.m
        self.out = np.empty(self.n * (self.n - 1) // 2 if condensed else self.n * self.m, np.float32)
        self.largest = max(source.largest for source in self.sources)
        # A power of two that brings the largest norm near 1, so that squares neither overflow nor vanish.
        self.unit = 2.0 ** max(-120, min(120, -math.frexp(self.largest)[1]))
        self.inverse = np.float32(1.0 / self.unit)
        self.working = np.result_type(*(source.working for source in self.sources))
        # Blocks of features follow the axes of what is not in memory.
        self.plan = next((source for source in self.sources if not source.in_memory), x)

    def run(self, *, direct: bool) -> None:
        """Fill the buffer."""
        tiles = sorted(self._tiles(), key=lambda tile: tile[0] == tile[1])  # half the work, so last
        if direct or not self.out.size or not self.features:
            self.out.fill(-0.0)
        else:
            tiles = self._gram(tiles)
        if tiles:
            self._differences(tiles)

    def result(self) -> np.ndarray:
        """Return the distances in the shape asked for."""
        bound = (2.0 * self.largest) ** (2 if self.squared else 1)
        if bound > float(np.finfo(np.float32).max) and not np.isfinite(self.out).all():
            raise HuddError("a distance exceeds the largest float32; scale the rows down.")
        if self.condensed:
            return self.out
        square = self.out.reshape(self.n, self.m)
        if self.triangle:
            self.each(kernels.mirror, ((square, rows.start, rows.stop) for rows in strips(0, self.n, 256)))
        return square

    def shift(self) -> np.ndarray:
        """Return about the mean row, (D,) float64: distances do not change when it is taken off."""
        sums, counts = zip(*(source.sums() for source in self.sources))
        return np.sum(sums, axis=0) / max(sum(counts), 1)

    def _gram(self, tiles: list[_Tile]) -> list[_Tile]:
        """Fill the buffer from the Gram matrix; return the tiles that hold marked pairs."""
        shift, norms = self.shift(), np.zeros(self.rows)
        marked: list[int] = []
        first = True
        with self._bar(len(tiles)) as advance:
            for block, last in self._blocks(np.dtype(np.float32), shift, norms):
                norms_now = norms.astype(np.float32) if last else None
                calls = ((tile, block, first, norms_now, advance) for tile in tiles)
                marked = self.each(self._multiply, calls)
                first = False
        return [tile for tile, count in zip(tiles, marked) if count]

    def _bar(self, tiles: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of the matrix product, if it is long."""
        if self.out.size * self.features < _LONG:
            return nullcontext(lambda count: None)
        limit = self._limit(np.dtype(np.float32))
        return progress("distances", tiles * sum(1 for _ in self.plan.column_blocks(limit)), "tiles")

    def _multiply(
        self,
        tile: _Tile,
        block: np.ndarray,
        first: bool,
        norms: np.ndarray | None,
        advance: Callable[[int], None],
    ) -> int:
        """Add one tile of the block's Gram matrix; given the norms, finish it and count marked pairs."""
        advance(1)
        i0, j0, i1, j1 = tile
        gram = block[i0:i1] @ block[self.rows - self.m :][j0:j1].T
        place = (i0, j0, self.triangle, self.offsets, self.out, first)
        if norms is None:
            kernels.add_gram(gram, *place)
            return 0
        columns = norms[self.rows - self.m :]
        return kernels.finish_gram(gram, *place, norms, columns, _SHARE, self.inverse, self.squared)

    def _differences(self, tiles: list[_Tile]) -> None:
        """Compute the marked pairs of the tiles."""
        place = (self.triangle, self.offsets, self.out)
        for block, _ in self._blocks(self.working, np.zeros(self.features), np.zeros(self.rows)):
            columns = block[self.rows - self.m :]
            self.each(kernels.add_differences, ((block, columns, *tile, *place) for tile in tiles))
        self.each(kernels.finish_differences, ((*tile, *place, self.inverse, self.squared) for tile in tiles))

    def _tiles(self) -> Iterator[_Tile]:
        for rows in strips(0, self.n, _TILE):
            for columns in strips(rows.start if self.triangle else 0, self.m, _TILE):
                yield rows.start, columns.start, rows.stop, columns.stop

    def _limit(self, dtype: np.dtype) -> int:
        """Return how many features a block of all rows may have."""
        return max(1, self.memory // 2 // max(1, self.rows * dtype.itemsize))

    def _blocks(
        self, dtype: np.dtype, shift: np.ndarray, norms: np.ndarray
    ) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield blocks of features of all rows, (rows, k), and whether it is the last.

        They are shifted and in units near the largest norm; their rows' sums of squares go to `norms`.
        """
        limit = self._limit(dtype)
        buffer = np.empty(self.rows * min(limit, self.features), dtype)
        for columns in self.plan.column_blocks(limit):
            block = buffer[: self.rows * (columns.stop - columns.start)].reshape(self.rows, -1)
            first = 0
            for source in self.sources:
                here = slice(first, first + source.count)
                source.load(columns, shift, self.unit, block[here], norms[here])
                first += source.count
            yield block, columns.stop == self.features
