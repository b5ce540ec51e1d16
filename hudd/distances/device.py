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
    budget = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else job.memory // 4
    x, y = job.sources[0], job.sources[-1]
    shift = torch.from_numpy(job.shift()).to(device)
    height = max(1, budget // (48 * max(job.m, 1)))  # a pair may be marked: value, row, column, sum
    with contracting("float32"), torch.inference_mode():
        for rows in strips(0, job.n, height):
            first = rows.start if job.triangle else 0
            strip = _Strip(x, y, rows, slice(first, job.m), job.unit, device, budget, job.plan)
            square, marked = strip.gram(shift, share, direct)
            if job.triangle:
                marked &= torch.ones_like(marked).triu(1)
            pairs = marked.nonzero().contiguous()
            if len(pairs):
                square[pairs[:, 0], pairs[:, 1]] = strip.differences(pairs, job.working)
            inverse = float(job.inverse)
            values = square.mul_(inverse).mul_(inverse) if job.squared else square.sqrt_().mul_(inverse)
            _store(job, values.cpu().numpy(), rows, first)


def _store(job: Job, values: np.ndarray, rows: slice, first: int) -> None:
    for i, line in zip(range(rows.start, rows.stop), values):
        start = max(first, i + 1) if job.triangle else first
        job.out[job.offsets[i] + start : job.offsets[i] + job.m] = line[start - first :]


def _where(device: torch.device) -> dict[str, int]:
    if device.type == "cuda":
        return {"stream": torch.cuda.current_stream(device).cuda_stream}
    return {"threads": thread_count()}


class _Strip:
    """The distances of some rows of X to rows of Y."""

    def __init__(
        self,
        x: Rows,
        y: Rows,
        rows: slice,
        columns: slice,
        unit: float,
        device: torch.device,
        budget: int,
        plan: Rows,
    ) -> None:
        self.sides = ((x, rows), (y, columns))
        self.unit, self.device = unit, device
        count = sum(side.stop - side.start for _, side in self.sides)
        # A block is held in the working type and, while it is loaded, in float64.
        self.blocks = list(plan.column_blocks(max(1, budget // (16 * max(count, 1)))))

    def _load(self, source: Rows, rows: slice, columns: Columns, shift: torch.Tensor | None) -> torch.Tensor:
        values = torch.tensor(source.read(rows, columns), device=self.device, dtype=torch.float64)
        values *= torch.from_numpy(source.scale[rows]).to(self.device)[:, None]
        if shift is not None:
            values -= shift[columns.start : columns.stop]
        return values.mul_(self.unit)

    def gram(self, shift: torch.Tensor, share: float, direct: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return squared distances, (r, c) float32, and which are not to be trusted."""
        counts = [side.stop - side.start for _, side in self.sides]
        gram = torch.zeros(counts, device=self.device)
        norms = [torch.zeros(count, dtype=torch.float64, device=self.device) for count in counts]
        if direct:
            return gram, torch.ones_like(gram, dtype=torch.bool)
        for columns in self.blocks:
            a, b = (self._load(*side, columns, shift).float() for side in self.sides)
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
            a, b = (self._load(*side, columns, None).to(dtype) for side in self.sides)
            _core.add_differences(
                _dlpack(a), _dlpack(b), _dlpack(pairs), _dlpack(sums), **_where(self.device)
            )
        return sums.float()
