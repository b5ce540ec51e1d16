"""Several processes on one study: who does what, and how they stay together.

torchrun starts the processes; every one of them takes the same steps in the same order. Work that can be cut is
shared out, the first process does the rest, and what goes wrong in one of them goes wrong in all.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn  # its default arguments keep a group that exists when it is imported, threads included
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hudd.errors import HuddError, UsageError

T = TypeVar("T")
_PATIENCE = timedelta(days=7)  # while the first process clusters, the others wait


def join() -> None:
    """Join the other processes where torchrun has started this one, and take a GPU of one's own."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=_PATIENCE)
    atexit.register(_leave)


def _leave() -> None:
    """Wait for the others, so that nobody takes the group down while another one still uses it."""
    if not hasattr(sys, "last_value"):  # an exception ends this process alone: the others must learn of it
        with contextlib.suppress(RuntimeError):
            dist.monitored_barrier(timeout=timedelta(seconds=10))
    dist.destroy_process_group()


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Say of an exchange that fails what that means: the other process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise HuddError(
            "another process of this run was lost; run the same command again, it resumes where it stopped."
        ) from error


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

    @property
    def first(self) -> bool:
        """Whether this process does what only one may do."""
        return self.rank == 0

    # -- steps of a study

    def mine(self, pieces: Sequence[T]) -> Sequence[T]:
        """Return this process's part of some work, every world-th piece."""
        return pieces[self.rank :: self.world]

    def lead(self, work: Callable[[], T]) -> T:
        """Let the first process do something while the others wait.

        It begins when all are here: else one that is late would find the work done, and go another way.

        Returns
        -------
        object
            What it returned, in every process; it must be picklable.

        Raises
        ------
        HuddError
            In every process, if it failed in the first.
        """
        self.wait()
        told: T = self._told(work if self.first else None)[0]
        return told

    def each(self, work: Callable[[], T]) -> list[T]:
        """Let every process do its part, and wait for all.

        Returns
        -------
        list
            What each of them returned, in every process; it must be picklable.

        Raises
        ------
        HuddError
            In every process, if it failed in one.
        """
        return self._told(work)

    def _told(self, work: Callable[[], Any] | None) -> list[Any]:
        """Do the work, then tell each other what came of it: the results by rank, or an error for all."""
        if self.world == 1:
            return [work() if work else None]
        found, failed = None, None
        try:
            found = work() if work else None
        except HuddError as error:
            failed = (isinstance(error, UsageError), str(error))
        told: list[Any] = [None] * self.world
        with _together():
            dist.all_gather_object(told, (found, failed))
        for _, failure in told:
            if failure:
                shared = (UsageError if failure[0] else HuddError)(failure[1])
                shared.shared = True
                raise shared
        return [result for result, _ in told]

    # -- searches

    def gather(self, part: torch.Tensor) -> list[torch.Tensor]:
        """Return the parts of all processes by rank: tensors of one shape and dtype, on any device.

        Raises
        ------
        HuddError
            If another process was lost.
        """
        if self.world == 1:
            return [part]
        sent = part.to("cuda" if dist.get_backend() == "nccl" else "cpu").contiguous()
        parts = [torch.empty_like(sent) for _ in range(self.world)]
        with _together():
            dist.all_gather(parts, sent)
        return [found.to(part.device) for found in parts]

    # -- training

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
        self._told(None)
