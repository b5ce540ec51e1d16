"""Training shared by several processes: each takes its part of every batch, all hold the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """The place of this process in the default process group; alone where there is none.

    Attributes
    ----------
    rank, world : int
        Number of this process and how many there are.
    """

    rank: int
    world: int

    @classmethod
    def current(cls) -> Ranks:
        """Read them from torch.distributed, as torchrun sets it up."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls(0, 1)

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the model as it is trained: gradients averaged over the processes."""
        if self.world == 1:
            return model
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def share(self, batch: np.ndarray) -> tuple[np.ndarray, float]:
        """Rows of the batch for this process and the weight of its mean loss.

        With these weights the averaged gradient is that of the whole batch, even where the parts differ in
        size; a process for which no row is left runs the first one at weight 0.
        """
        rows = batch[self.rank :: self.world]
        return (rows, len(rows) * self.world / len(batch)) if len(rows) else (batch[:1], 0.0)

    def sum(self, value: torch.Tensor) -> float:
        """Add a scalar up over the processes."""
        if self.world > 1:
            value = value.to("cuda" if dist.get_backend() == "nccl" else "cpu")
            dist.all_reduce(value)
        return float(value)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()
