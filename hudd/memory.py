"""How much memory there is, and the refusal of what says that it needs more."""

from __future__ import annotations

import os

from hudd.errors import UsageError


def memory_bytes() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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
