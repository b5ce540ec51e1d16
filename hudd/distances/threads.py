"""One small pool of threads for the kernels and the BLAS alike.

Kernels release the interpreter lock and BLAS calls are held to one thread each, so both run side by side
as tasks of one pool. Several runtimes with pools of their own would spin on each other's cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

Each = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], list[Any]]


def thread_count() -> int:
    """Return how many threads to use: OMP_NUM_THREADS where set, else the cores this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_limiting = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the BLAS to one thread.

    Of several callers at once the first sets the limit and lifts it, in its own thread: a limit saved or
    lifted by another would stay for good.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@contextmanager
def workers() -> Iterator[Each]:
    """Open a pool and yield ``each(function, calls)``: the results of ``function(*call)``, in order."""
    with one_blas_thread(), ThreadPoolExecutor(thread_count()) as pool:
        yield lambda function, calls: list(pool.map(lambda call: function(*call), calls))


def strips(first: int, last: int, size: int) -> Iterator[slice]:
    """Split a range into slices of at most `size`."""
    return (slice(start, min(start + size, last)) for start in range(first, last, size))
