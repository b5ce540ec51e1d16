"""Batches explained one after the other, without waiting: while one is computed, the last one's results are fetched.

On a GPU images go up from pinned memory, and results come down into a ring of pinned buffers on a stream of their own;
whether numbers were too large for their storage is fetched with them, and looked at when they have come. On the CPU
there is nothing to overlap, and results are handed on as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hudd.errors import HuddError, HuddWarning

Results = Mapping[str, Tensor]
Explain = Callable[[Tensor, Tensor], Results]


class Fetch(Protocol):
    """Results on their way to the host."""

    def wait(self) -> dict[str, np.ndarray]:
        """Wait until all have come; what is returned holds until the next but one is fetched."""


class Transfer(Protocol):
    """How tensors get to a device and back."""

    ahead: int  # batches that are computed while the results of one are fetched

    def upload(self, images: Tensor) -> Tensor:
        """The images on the device."""

    def fetch(self, results: Results) -> Fetch:
        """Begin to fetch results, once all that was begun before is computed."""

    def free(self) -> None:
        """Give back what memory is not in use."""


class HostTransfer:
    """Results that lie on the host already."""

    ahead = 0

    def upload(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images

    def fetch(self, results: Results) -> Fetch:
        """The results themselves."""
        return _Fetched({name: result.numpy() for name, result in results.items()})

    def free(self) -> None:
        """Do nothing: the C library gives back what it does not need."""


@dataclass
class _Fetched:
    arrays: dict[str, np.ndarray]

    def wait(self) -> dict[str, np.ndarray]:
        return self.arrays


class CudaTransfer:
    """Between pinned memory and a GPU, results on a stream of their own.

    Parameters
    ----------
    device : torch.device
        The GPU.
    """

    ahead = 1

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._ring: list[dict[str, Tensor]] = [{} for _ in range(self.ahead + 1)]
        self._turn = 0

    def upload(self, images: Tensor) -> Tensor:
        """The images on the GPU, as soon as it gets to them."""
        return images.pin_memory().to(self._device, non_blocking=True)

    def fetch(self, results: Results) -> Fetch:
        """Begin to copy results behind what the current stream does."""
        buffers = self._ring[self._turn]
        self._turn = (self._turn + 1) % len(self._ring)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        fetched = {}
        with torch.cuda.stream(self._stream):
            for name, result in results.items():
                if (
                    name not in buffers
                    or buffers[name].shape[1:] != result.shape[1:]
                    or len(buffers[name]) < len(result)
                ):
                    buffers[name] = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
                fetched[name] = buffers[name][: len(result)]
                fetched[name].copy_(result, non_blocking=True)
                result.record_stream(self._stream)
            through = torch.cuda.Event()
            through.record(self._stream)
        return _Copied(through, fetched)

    def free(self) -> None:
        """Have torch's allocator give back what no tensor holds."""
        torch.cuda.empty_cache()


@dataclass
class _Copied:
    through: torch.cuda.Event
    tensors: dict[str, Tensor]

    def wait(self) -> dict[str, np.ndarray]:
        self.through.synchronize()
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}


def transfer_to(device: torch.device) -> Transfer:
    """Return the way to a device and back."""
    return CudaTransfer(device) if device.type == "cuda" else HostTransfer()


_TOO_LARGE = " too large "  # the flags of a batch; no dataset's name begins with a blank


def streamed(
    explain: Explain, batches: Iterable[tuple[Tensor, Tensor]], transfer: Transfer
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Explain batches in order, one being computed while the one before it is fetched.

    A batch for which the device has too little memory is halved, as are those that follow; each half's results come
    by themselves.

    Parameters
    ----------
    explain : callable
        Results by name, each (N, ...), of images on the device and of what to explain, on the CPU.
    batches : iterable of (images, target)
        (N, C, H, W) and (N,), both on the CPU.
    transfer : Transfer
        The way to the device and back.

    Yields
    ------
    count : int
        Images of this part of a batch.
    results : dict of str to numpy.ndarray
        (count, ...) by name; they hold until the next part is asked for.

    Raises
    ------
    HuddError
        If a float16 number is too large, or the memory does not even do for one image.
    """
    under_way: list[tuple[int, Fetch]] = []
    most: int | None = None
    for images, target in batches:
        done = 0
        while done < len(images):
            part = slice(done, len(images) if most is None else done + most)
            results = _results(explain, transfer, images[part], target[part])
            if results is None:
                most = _halved(len(images[part]))
                transfer.free()
                continue
            count = len(images[part])
            under_way.append((count, transfer.fetch(_flagged(results))))
            del results
            done += count
            if len(under_way) > transfer.ahead:
                yield _arrived(*under_way.pop(0))
    for count, fetch in under_way:
        yield _arrived(count, fetch)


def _results(
    explain: Explain, transfer: Transfer, images: Tensor, target: Tensor
) -> dict[str, Tensor] | None:
    """What a part of a batch gives; None if the memory does not do."""
    try:
        return dict(explain(transfer.upload(images), target))
    except torch.OutOfMemoryError:  # handled by the caller, when nothing holds what was computed any more
        return None


def _halved(count: int) -> int:
    if count == 1:
        raise HuddError(
            "the GPU has too little memory for a single image; explain fewer layers (`layers`), pool the heatmaps "
            "(`pool`), or choose `device='cpu'`."
        )
    half = (count + 1) // 2
    message = f"the GPU has too little memory for {count} images at a time; going on with {half}."
    warnings.warn(message, HuddWarning, stacklevel=3)
    return half


def _flagged(results: dict[str, Tensor]) -> dict[str, Tensor]:
    """The results, and for those in float16 one tensor that says which hold infinity."""
    halves = [result for result in results.values() if result.dtype == torch.float16]
    flags = {_TOO_LARGE: torch.stack([half.isinf().any() for half in halves])} if halves else {}
    return {**results, **flags}


def _arrived(count: int, fetch: Fetch) -> tuple[int, dict[str, np.ndarray]]:
    arrays = fetch.wait()
    flags: Any = arrays.pop(_TOO_LARGE, ())
    halves = [name for name, array in arrays.items() if array.dtype == np.float16]
    for name, too_large in zip(halves, flags):
        if too_large:
            raise HuddError(
                f"relevance at layer '{name}' exceeds float16 (65,504); keep the heatmaps with `dtype='float32'`."
            )
    return count, arrays
