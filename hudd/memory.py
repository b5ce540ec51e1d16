"""How much memory there is, and the refusal of what says that it needs more."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from hudd.errors import HuddError, UsageError

_LIMITS = (  # of a container, by the control groups of version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """Return the bytes of memory that this machine has, or that its container or process may use if that is less."""
    limits = [*map(_limit, _LIMITS), address_space()]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *filter(None, limits)])


def address_space() -> int | None:
    """Return the bytes of addresses that this process may use (``ulimit -v``), None where there is no limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def check_address_space() -> None:
    """Refuse to begin where libraries would abort the process, or hang, before they could tell why.

    Raises
    ------
    HuddError
        Saying how little there is and how to lift the limit.
    """
    limit = address_space()
    if limit is not None and limit < _LIBRARIES:
        raise HuddError(
            f"the address space is limited to {limit / 2**30:.1f} GiB, and the libraries alone need "
            f"{_LIBRARIES / 2**30:.0f} GiB; {_LIFT}."
        )


def shortage(error: Exception) -> str | None:
    """Say in a sentence that memory or threads were short, where that is what an error of any library means."""
    text = str(error)
    if any(sign in text for sign in _NO_THREADS):
        return (
            "the system gives no more threads; raise the limit of processes ('ulimit -u', or the container's), or "
            "set OMP_NUM_THREADS=1 and give `workers=0`."
        )
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        limit = address_space()
        if limit is None:
            return "the memory is full; give a smaller `batch_size`, or `pool='channel'`."
        return (
            f"the memory is full, and the address space is limited to {limit / 2**30:.1f} GiB; {_LIFT}, or give a "
            "smaller `batch_size`."
        )
    return None


_LIBRARIES = 2 << 30  # bytes; with less, torch and Numba cannot both be loaded and work
_LIFT = "lift the limit with 'ulimit -v unlimited'"
_NO_THREADS = ("can't start new thread", "pthread_create failed", "Thread creation failed")
_NO_MEMORY = (  # of torch, oneDNN, the C++ library, the loader, LLVM and CUDA, which raise RuntimeError, ImportError...
    *("can't allocate memory", "bad_alloc", "could not create a primitive", "Unable to allocate"),
    *("failed to map segment", "cannot allocate memory", "Cannot allocate memory", "out of memory"),
)


def _limit(file: Path) -> int | None:
    """Return the limit in a file; None where there is none, or it says "max"."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse to read what cannot fit: a file of kilobytes may declare exabytes.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        What needs them, as the subject of a sentence in the singular.
    remedy : str
        What to do, as the sentence's end.

    Raises
    ------
    UsageError
        Saying how much is needed and how much there is.
    """
    if needed > memory_bytes():
        raise UsageError(
            f"{what} needs {needed / 2**30:,.1f} GiB of memory and this machine has {memory_bytes() / 2**30:,.1f} "
            f"GiB; {remedy}."
        )
