"""Numbers of a parameter in words: no more digits than they need, and none less."""

from __future__ import annotations

import math


def format_exactly(value: float) -> str:
    """Write a number so that it reads back as itself."""
    return str(int(value)) if _is_whole(value) else repr(float(value))


def format_range(low: float, high: float) -> str:
    """Write a range as ``low..high``, to a hundredth of its width."""
    width = abs(high - low) or abs(high)
    digits = 3
    if width and math.isfinite(width):
        largest = max(abs(low), abs(high))
        digits = min(17, max(3, 3 + math.floor(math.log10(largest)) - math.floor(math.log10(width))))
    return "..".join(format_exactly(v) if _is_whole(v) else f"{v:.{digits}g}" for v in (low, high))


def _is_whole(value: float) -> bool:
    return abs(value) < 1e15 and value == int(value)
