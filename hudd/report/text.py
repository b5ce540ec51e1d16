"""Names from outside, made safe to read: classes, files, layers and parameters may be called anything."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """Return a name as one line of visible characters.

    What cannot be printed (newlines, control characters, marks that turn the writing direction, halves of
    surrogate pairs) is written as an escape, so that no name can disturb the page or pass for another one.
    Markup is left as it is: escaping it is the template's work.
    """
    text = value if isinstance(value, str) else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def number(value: float) -> str:
    """Return a measured number with about three significant digits and no exponent where it is not needed."""
    if value != value:
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"
