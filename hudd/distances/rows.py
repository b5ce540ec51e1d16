"""Rows of numbers behind one face: an array in memory, or an HDF5 dataset read by blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hudd.distances import kernels
from hudd.distances.threads import Each, strips, workers
from hudd.errors import UsageError

_SAMPLE = 128


@dataclass(frozen=True)
class Columns:
    """A block of features: its hyperslab on the trailing axes and its range in C order."""

    slices: tuple[slice, ...]
    start: int
    stop: int


class Rows:
    """N rows of D features with their scale, read by blocks.

    Parameters
    ----------
    source : array_like or h5py.Dataset
        Shape (N, ...); trailing axes are flattened in C order.
    name : str
        How messages call it.
    unit_norm : bool
        Divide each row by its Euclidean norm; zero rows stay zero.
    memory : int
        Bytes that one read may take.
    each : callable
        Pool of threads, see :func:`hudd.distances.threads.workers`.

    Attributes
    ----------
    scale : ndarray, (N,) float64
        Factor of each row: 1, or one over its norm.
    norms : ndarray, (N,) float64
        Norm of each row before it is scaled.
    largest : float
        Largest norm of the scaled rows.
    everything : Columns
        All features.
    plain : bool
        The rows lie in memory as float32, each in one piece.

    Raises
    ------
    UsageError
        If there is no feature axis, the type is not real, or a value is NaN or infinite; the message
        names the row.
    """

    def __init__(self, source: Any, *, name: str, unit_norm: bool, memory: int, each: Each) -> None:
        if hasattr(source, "detach"):  # a torch tensor
            source = source.detach().cpu().numpy()
        elif not hasattr(source, "dtype") or not hasattr(source, "shape"):
            source = np.asarray(source)
        self.name, self.dtype = name, np.dtype(source.dtype)
        if len(source.shape) < 2:
            raise UsageError(
                f"{name} has shape {tuple(source.shape)}; give one row of features an item, shape (N, ...)."
            )
        if self.dtype.kind not in "fiub":
            raise UsageError(f"{name} has dtype {self.dtype}; give real numbers, such as float32.")
        self.count, self.axes = int(source.shape[0]), tuple(int(size) for size in source.shape[1:])
        self.features = math.prod(self.axes)
        self.in_memory = isinstance(source, np.ndarray)
        self._source = source.reshape(self.count, self.features) if self.in_memory else source
        strides = self._source.strides if self.in_memory else (0, 0)
        self.plain = self.dtype == np.float32 and strides[1] == 4 and strides[0] >= 4 * self.features
        self._memory, self._each = memory, each
        # Half and single precision are read as float32, everything else as float64: no digit is lost.
        self.working = np.dtype(np.float32 if self.dtype in (np.float16, np.float32) else np.float64)
        self.scale, self.norms = np.ones(self.count), np.zeros(self.count)
        self.everything = Columns((slice(None),) * len(self.axes), 0, self.features)
        self._survey(unit_norm)

    def read(self, rows: slice, columns: Columns) -> np.ndarray:
        """Return a block as (n, k) float32 or float64; a view where nothing has to be read or cast."""
        return self.read_stored(rows, columns).astype(self.working, copy=False)

    def read_stored(self, rows: slice, columns: Columns) -> np.ndarray:
        """Return a block as (n, k) in the type that the source has; a view where nothing has to be read."""
        key = (rows, slice(columns.start, columns.stop)) if self.in_memory else (rows, *columns.slices)
        block = np.asarray(self._source[key])
        return block.reshape(block.shape[0], columns.stop - columns.start)

    def row_blocks(self, features: int) -> Iterator[slice]:
        """Split the rows into slices whose reads of so many features keep to the memory."""
        if self.in_memory and self.dtype == self.working:
            return iter((slice(0, self.count),))  # a view, which takes none
        step = max(1, self._memory // (max(features, 1) * (self.dtype.itemsize + self.working.itemsize)))
        return (slice(first, min(first + step, self.count)) for first in range(0, self.count, step))

    def column_blocks(self, limit: int) -> Iterator[Columns]:
        """Split the features, in C order, into blocks of at most `limit` that are hyperslabs."""
        if not self.features:
            return
        axes = (self.features,) if self.in_memory else self.axes
        axis = next(a for a in range(len(axes)) if math.prod(axes[a + 1 :]) <= limit)
        inner = math.prod(axes[axis + 1 :])
        blocks = -(-axes[axis] // (limit // inner))
        step = -(-axes[axis] // blocks)  # blocks of even size
        start = 0
        for head in product(*(range(size) for size in axes[:axis])):
            for first in range(0, axes[axis], step):
                last = min(first + step, axes[axis])
                stop = start + (last - first) * inner
                yield Columns((*(slice(h, h + 1) for h in head), slice(first, last)), start, stop)
                start = stop

    def load(
        self,
        columns: Columns,
        rows: np.ndarray,
        shift: np.ndarray,
        unit: float,
        out: np.ndarray,
        squares: np.ndarray,
    ) -> None:
        """Write ``(x * scale - shift) * unit`` of some rows to `out`, (r, k), and add their sums of squares."""
        centre = shift[columns.start : columns.stop]
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        for block in self.row_blocks(columns.stop - columns.start):
            first, last = np.searchsorted(ascending, (block.start, block.stop))
            if first < last:
                values, scale = self.read(block, columns), self.scale[block]
                self._each(
                    kernels.load,
                    (
                        (values, ascending[p] - block.start, order[p], scale, centre, unit, out, squares)
                        for p in strips(first, last, 64)
                    ),
                )

    def sums(self) -> tuple[np.ndarray, int]:
        """Return the scaled sums of at most 255 evenly spread rows, (D,) float64, and their number."""
        total = np.zeros(self.features)
        step = max(1, self.count // _SAMPLE)
        for rows in self.row_blocks(self.features * step):
            chosen = slice(-(-rows.start // step) * step, rows.stop, step)
            if chosen.start < chosen.stop:
                values, scale = self.read(chosen, self.everything), self.scale[chosen]
                parts = strips(0, self.features, 4096)
                self._each(kernels.add_rows, ((values[:, p], scale, total[p]) for p in parts))
        return total, -(-self.count // step)

    def _survey(self, unit_norm: bool) -> None:
        squares = np.empty(self.count)
        for rows in self.row_blocks(self.features):
            values = self.read(rows, self.everything)
            here = squares[rows]
            parts = strips(0, len(values), 128)
            self._each(kernels.square_norms, ((values[p], here[p]) for p in parts))
            bad = np.flatnonzero(~np.isfinite(here))
            if bad.size:
                row = values[bad[0]]
                what = "NaN" if np.isnan(row).any() else "an infinite value"
                if np.isfinite(row).all():
                    what = f"values up to {np.abs(row).max():.3g}, whose squares overflow"
                place = f"row {rows.start + bad[0]} of {self.name}"
                raise UsageError(f"{place} holds {what}; fix or leave out that row.")
        self.norms = np.sqrt(squares)
        if unit_norm:
            self.scale = 1.0 / np.where(squares > 0, self.norms, 1.0)
        self.largest = float((self.norms * self.scale).max(initial=0.0))


def unit_norm_rows(rows: Any) -> np.ndarray:
    """Divide each row by its Euclidean norm; zero rows stay zero.

    What :func:`pairwise_distances` does with ``unit_norm=True``, for rows that fit in memory.

    Parameters
    ----------
    rows : array_like, shape (N, ...)
        One item a row.

    Returns
    -------
    ndarray, (N, ...)
        float32, or float64 where `rows` is neither float16 nor float32.

    Raises
    ------
    UsageError
        As :func:`pairwise_distances` does.
    """
    with workers() as each:
        source = Rows(rows, name="rows", unit_norm=True, memory=1 << 62, each=each)
        out = np.empty((source.count, source.features), source.working)
        columns = Columns((slice(None),) * len(source.axes), 0, source.features)
        everyone, squares = np.arange(source.count), np.zeros(source.count)
        source.load(columns, everyone, np.zeros(source.features), 1.0, out, squares)
    return out.reshape(source.count, *source.axes)
