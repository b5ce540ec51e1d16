"""How much memory there is, and the refusal of what says that it needs more."""

from __future__ import annotations

import os
from pathlib import Path

from hudd.errors import UsageError

_LIMITS = (  # of a container, by the control groups of version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """Return the bytes of memory that this machine has, or that its container may use where that is less."""
    return min(
        [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *filter(None, map(_limit, _LIMITS))]
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
