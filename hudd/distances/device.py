"""Pairwise distances on a torch device, by strips of rows and blocks of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hudd import _core
from hudd.arithmetic import contracting
from hudd.distances.job import Job
from hudd.distances.kernels import VANISHING
from hudd.distances.rows import Columns, Rows
from hudd.distances.threads import strips, thread_count
from hudd.errors import UsageError

_dlpack = torch.utils.dlpack.to_dlpack  # type: ignore[attr-defined]

_UPLOADED = tuple(
    map(np.dtype, ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?"))
)  # types of torch's as well
# Bytes on the device: of a pair of a strip (products, norms, distances, marks), and of a marked one in addition.
_PAIR, _MARKED = 24, 40
_LOW = 512  # rows of a strip that keep a GPU busy


def usable(name: Any) -> torch.device:
    """Return the torch device of that name.

    Raises
    ------
    UsageError
        If there is no such device, or the compiled core has no kernels for it.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device is {name!r}; distances can be computed on cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device is '{device}'; distances can be computed on cpu or cuda.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device is '{device}', but torch finds no GPU; choose cpu or leave it out.")
    if device.type == "cuda" and not _core.build_info()["cuda"]:
        raise UsageError(
            f"device is '{device}', but the compiled core has no CUDA kernels: put nvcc on PATH and run "
            "'pip install .' again, or leave it out."
        )
    return device


def fill(job: Job, device: torch.device, share: float, *, direct: bool) -> None:
    """Fill the job's buffer: a matrix product, and direct differences for every pair that needs them.

    Rows are held on the device in the type in which they were given, if they take no more than half of its memory; else
    they are read again for every strip.

    Parameters
    ----------
    job : Job
        Rows, buffer and options.
    device : torch.device
        Where to compute.
    share : float
        Pairs whose squared distance is below this share of their two squared norms are recomputed.
    direct : bool
        Recompute all pairs.
    """
    memory = available(device, job.memory)
    sides = [_Side(source, job.unit, device) for source in job.sources]
    held = sum(side.bytes for side in sides)
    if held <= memory // 2:
        memory -= held
        for side in sides:
            side.upload()
    shift = torch.from_numpy(job.shift()).to(device)
    with contracting("float32"), torch.inference_mode():
        for rows in strips(0, job.n, _height(job, memory // 2)):
            first = rows.start if job.triangle else 0
            strip = _Strip(sides[0], sides[-1], rows, slice(first, job.m), memory // 4, job.plan)
            square, marked = strip.gram(shift, share, direct)
            if job.triangle:
                marked.triu_(1)
            for part in strips(0, len(square), max(1, memory // 8 // (_MARKED * max(job.m, 1)))):
                pairs = marked[part].nonzero().contiguous()
                pairs[:, 0] += part.start
                if len(pairs):
                    square[pairs[:, 0], pairs[:, 1]] = strip.differences(pairs, job.working)
            inverse = float(job.inverse)
            values = square.mul_(inverse).mul_(inverse) if job.squared else square.sqrt_().mul_(inverse)
            _store(job, values.cpu().numpy(), rows, first)


def available(device: torch.device, memory: int) -> int:
    """Return the bytes that may be taken on a device: nine tenths of what a GPU has free, on the CPU what was given."""
    return torch.cuda.mem_get_info(device)[0] // 10 * 9 if device.type == "cuda" else memory


def _height(job: Job, memory: int) -> int:
    """Return how many rows a strip has: what fits, and of a triangle not so many that much is computed twice."""
    fits = max(1, memory // (_PAIR * max(job.m, 1)))
    return min(fits, max(_LOW, -(-job.n // 8))) if job.triangle else fits


def _store(job: Job, values: np.ndarray, rows: slice, first: int) -> None:
    for i, line in zip(range(rows.start, rows.stop), values):
        start = max(first, i + 1) if job.triangle else first
        job.out[job.offsets[i] + start : job.offsets[i] + job.m] = line[start - first :]


def _where(device: torch.device) -> dict[str, int]:
    if device.type == "cuda":
        return {"stream": torch.cuda.current_stream(device).cuda_stream}
    return {"threads": thread_count()}


class _Side:
    """The rows of X or of Y, on the device in their own type once they were uploaded."""

    def __init__(self, source: Rows, unit: float, device: torch.device) -> None:
        self.source, self.unit, self.device = source, unit, device
        self.scale = torch.from_numpy(source.scale).to(device)
        native = source.dtype.newbyteorder("=")
        self.dtype = native if native in _UPLOADED else source.working
        self.bytes = source.count * source.features * self.dtype.itemsize
        self._rows: torch.Tensor | None = None

    def upload(self) -> None:
        """Hold all rows on the device."""
        kind = torch.from_numpy(np.empty(0, self.dtype)).dtype
        held = torch.empty((self.source.count, self.source.features), dtype=kind, device=self.device)
        for rows in self.source.row_blocks(self.source.features):
            held[rows] = self._read(rows, self.source.everything)
        self._rows = held

    def block(self, rows: slice, columns: Columns, shift: torch.Tensor | None) -> torch.Tensor:
        """Return ``(x * scale - shift) * unit`` of some rows and columns, (n, k) float64."""
        if self._rows is not None:
            values = self._rows[rows, columns.start : columns.stop].double()
        else:
            values = self._read(rows, columns).to(self.device).double()
        values = values * self.scale[rows, None]
        if shift is not None:
            values -= shift[columns.start : columns.stop]
        return values.mul_(self.unit)

    def _read(self, rows: slice, columns: Columns) -> torch.Tensor:
        """Return a block in memory; copied, as torch takes no array that may not be written."""
        return torch.from_numpy(np.array(self.source.read_stored(rows, columns), self.dtype, order="C"))


class _Strip:
    """The distances of some rows of X to rows of Y."""

    def __init__(self, x: _Side, y: _Side, rows: slice, columns: slice, memory: int, plan: Rows) -> None:
        self.sides = ((x, rows), (y, columns))
        self.device = x.device
        count = sum(side.stop - side.start for _, side in self.sides)
        # A block is held in float64 while it is scaled, and in the working type.
        self.blocks = list(plan.column_blocks(max(1, memory // (24 * max(count, 1)))))

    def gram(self, shift: torch.Tensor, share: float, direct: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return squared distances, (r, c) float32, and which are not to be trusted."""
        counts = [side.stop - side.start for _, side in self.sides]
        gram = torch.zeros(counts, device=self.device)
        norms = [torch.zeros(count, dtype=torch.float64, device=self.device) for count in counts]
        if direct:
            return gram, torch.ones_like(gram, dtype=torch.bool)
        for columns in self.blocks:
            a, b = (side.block(rows, columns, shift).float() for side, rows in self.sides)
            gram.addmm_(a, b.T)
            for norm, block in zip(norms, (a, b)):
                norm += block.double().square_().sum(1)
        both = norms[0].float()[:, None] + norms[1].float()
        square = torch.sub(both, gram, alpha=2)
        vanishing = (both < float(VANISHING)) & (both > 0)
        return square.clamp_(min=0), (square < share * both) | vanishing

    def differences(self, pairs: torch.Tensor, working: np.dtype) -> torch.Tensor:
        """Return the squared distances of some pairs, (p, 2) int64, from their differences, (p,) float32."""
        dtype = torch.float64 if working == np.float64 else torch.float32
        sums = torch.zeros(len(pairs), dtype=torch.float64, device=self.device)
        for columns in self.blocks:
            a, b = (side.block(rows, columns, None).to(dtype) for side, rows in self.sides)
            _core.add_differences(
                _dlpack(a), _dlpack(b), _dlpack(pairs), _dlpack(sums), **_where(self.device)
            )
        return sums.float()
