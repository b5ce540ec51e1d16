"""Batches decoded ahead of the computation."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from hudd.data.base import ImageSource
from hudd.errors import UsageError
from hudd.lazy import torch

T = TypeVar("T")


def batches(
    source: ImageSource,
    indices: Sequence[int] | np.ndarray | None,
    batch_size: int,
    *,
    workers: int | None = 2,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield images in batches, in order, decoded ahead in threads.

    At most ``workers + 1`` batches are held at once, so memory does not grow with the number of images. The result
    does not depend on `workers`.

    Parameters
    ----------
    source : ImageSource
        Where the images come from.
    indices : (n,) integers or None
        Rows in the order wanted; None is all of them.
    batch_size : int
        Images a batch; the last one may be smaller.
    workers : int or None
        Decoding threads; 0 decodes in the caller's thread, None finds out how many help.

    Yields
    ------
    indices : numpy.ndarray
        (b,) int64 rows of this batch.
    images : torch.Tensor
        (b, C, H, W) float32.

    Raises
    ------
    UsageError
        If `batch_size` or `workers` cannot be used, a row does not exist, or an image cannot be decoded.
    """
    rows = np.arange(len(source)) if indices is None else np.asarray(indices, dtype=np.int64).reshape(-1)
    if batch_size < 1 or (workers is not None and workers < 0):
        raise UsageError(f"batch_size is {batch_size} and workers {workers}; they must be at least 1 and 0.")
    if rows.size and (rows.min() < 0 or rows.max() >= len(source)):
        raise UsageError(
            f"row {rows.max() if rows.min() >= 0 else rows.min()} does not exist; rows: 0 to {len(source) - 1}."
        )
    return loaded_ahead(
        source.load, (rows[start : start + batch_size] for start in range(0, rows.size, batch_size)), workers
    )


def loaded_ahead(
    load: Callable[[np.ndarray], T], parts: Iterable[np.ndarray], workers: int | None = 2
) -> Iterator[tuple[np.ndarray, T]]:
    """Yield ``(rows, load(rows))`` for each part in order, loaded ahead in threads; see :func:`batches`.

    Parameters
    ----------
    load : callable
        Rows to what is wanted of them, such as :meth:`ImageSource.load`.
    parts : iterable of (b,) int64 arrays
        Rows of each batch; taken one by one as there is room.
    workers : int or None
        Decoding threads; 0 decodes in the caller's thread. None begins with two and takes more, up to the number of
        processors, while the caller waits for images and one more makes them come faster.
    """
    if workers == 0:
        for part in parts:
            yield part, load(part)
        return
    pace = Pace(_processors()) if workers is None else None
    most = pace.most if pace is not None else workers or 0
    pool = ThreadPoolExecutor(most, thread_name_prefix="hudd-decode")
    waiting: deque[tuple[np.ndarray, Future[T]]] = deque()
    try:
        for part in parts:
            waiting.append((part, pool.submit(load, part)))
            if len(waiting) > (most if pace is None else pace.workers):
                done, images = waiting.popleft()
                if pace is None or pace.settled:
                    yield done, images.result()
                    continue
                before = time.perf_counter()
                result = images.result()
                pace.tell(before, time.perf_counter())
                yield done, result
        while waiting:
            done, images = waiting.popleft()
            yield done, images.result()
    finally:  # also when the caller stops early or an image is broken
        pool.shutdown(wait=True, cancel_futures=True)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pace:
    """Finds out how many decoding threads help, from how long a caller waits for its batches.

    Parameters
    ----------
    processors : int
        The most threads to take.

    Attributes
    ----------
    most, workers : int
        Threads to take at most, and now.
    settled : bool
        Whether nothing is tried any more.
    """

    def __init__(self, processors: int) -> None:
        self.most = max(processors, 1)
        self.workers = min(_FIRST, self.most)
        self.settled = self.workers == self.most
        self._rate, self._waited, self._batches, self._begun = 0.0, 0.0, 0, 0.0

    def tell(self, before: float, after: float) -> None:
        """Note that a caller waited for a batch from one moment to another, in seconds."""
        if self._batches == 0:
            self._begun, self._waited = after, 0.0
        else:
            self._waited += after - before
        self._batches += 1
        if self._batches > _TRIED:
            self._decide(
                _TRIED / max(after - self._begun, 1e-9), self._waited / max(after - self._begun, 1e-9)
            )
            self._batches = 0

    def _decide(self, rate: float, waiting: float) -> None:
        if self._rate and rate < _FASTER * self._rate:
            self.workers, self.settled = self.workers - 1, True
        elif waiting < _IDLE or self.workers == self.most:
            self.settled = True
        else:
            self._rate, self.workers = rate, self.workers + 1


_FIRST = 2  # threads
_TRIED = 16  # batches that each number of threads is tried for
_IDLE = 0.05  # of its time that a caller may wait
_FASTER = 1.03
