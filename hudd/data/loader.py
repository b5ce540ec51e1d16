"""Batches decoded ahead of the computation."""

from __future__ import annotations

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
    source: ImageSource, indices: Sequence[int] | np.ndarray | None, batch_size: int, *, workers: int = 2
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
    workers : int
        Decoding threads; 0 decodes in the caller's thread.

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
    if batch_size < 1 or workers < 0:
        raise UsageError(f"batch_size is {batch_size} and workers {workers}; they must be at least 1 and 0.")
    if rows.size and (rows.min() < 0 or rows.max() >= len(source)):
        raise UsageError(
            f"row {rows.max() if rows.min() >= 0 else rows.min()} does not exist; rows: 0 to {len(source) - 1}."
        )
    return loaded_ahead(
        source.load, (rows[start : start + batch_size] for start in range(0, rows.size, batch_size)), workers
    )


def loaded_ahead(
    load: Callable[[np.ndarray], T], parts: Iterable[np.ndarray], workers: int = 2
) -> Iterator[tuple[np.ndarray, T]]:
    """Yield ``(rows, load(rows))`` for each part in order, loaded ahead in threads; see :func:`batches`.

    Parameters
    ----------
    load : callable
        Rows to what is wanted of them, such as :meth:`ImageSource.load`.
    parts : iterable of (b,) int64 arrays
        Rows of each batch; taken one by one as there is room.
    workers : int
        Decoding threads; 0 decodes in the caller's thread.
    """
    if workers == 0:
        for part in parts:
            yield part, load(part)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="hudd-decode")
    waiting: deque[tuple[np.ndarray, Future[T]]] = deque()
    try:
        for part in parts:
            waiting.append((part, pool.submit(load, part)))
            if len(waiting) > workers:
                done, images = waiting.popleft()
                yield done, images.result()
        while waiting:
            done, images = waiting.popleft()
            yield done, images.result()
    finally:  # also when the caller stops early or an image is broken
        pool.shutdown(wait=True, cancel_futures=True)
