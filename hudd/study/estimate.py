"""What a long step will take, told before it begins; a disk that is too small is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hudd.progress import note
from hudd.store import check_space, size_text
from hudd.study.journal import Journal

_LONG = 60.0  # seconds
_LARGE = 1 << 30


def estimate_step(journal: Journal, step: str, size: int, seconds: float) -> None:
    """Log what a step will take, tell it where it is much, and refuse it where the disk is too small.

    Parameters
    ----------
    journal : Journal
        Where it will be written.
    step : str
        Name of the step.
    size : int
        Bytes that it will write.
    seconds : float
        Time that it will run; 0 where that is not worth measuring.

    Raises
    ------
    HuddError
        If less than `size` is free.
    """
    check_space(journal.path, size, f"the {step} still to be computed")
    journal.log("estimated", step=step, bytes=size, seconds=round(seconds, 1))
    if seconds > _LONG or size > _LARGE:
        note(f"{step}: about {_duration(seconds)} and {size_text(size)}")


def seconds_of(work: Callable[[], Any]) -> float:
    """Return how long some work takes once it has been done before."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(seconds, 1) / 60:.0f} min"
