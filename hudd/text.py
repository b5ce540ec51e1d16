"""Names from outside, made safe to read: classes, files, layers and parameters may be called anything."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from rich.markup import escape


def printable(value: Any) -> str:
    """Return a name as one line of visible characters.

    What cannot be printed (newlines, control characters, marks that turn the writing direction, halves of
    surrogate pairs) is written as an escape, so that no name can disturb the page or pass for another one.
    Markup is left as it is: escaping it is the template's work.
    """
    text = value if isinstance(value, str) else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def in_line(text: Any) -> str:
    """Return a name as it may stand in a line that Rich prints: :func:`printable`, and no markup."""
    return escape(printable(text))


def to_json(content: Any, indent: int | None = None, **options: Any) -> bytes:
    """Return JSON in UTF-8; what cannot be printed, which may steer a terminal, as JSON's escapes.

    Parameters
    ----------
    content, indent, **options
        As of :func:`json.dumps`.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent, **options)
    lines = (line if line.isprintable() else "".join(map(_in_json, line)) for line in text.split("\n"))
    return "\n".join(lines).encode()


def _in_json(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def number(value: float, step: float | None = None) -> str:
    """Return a measured number with about three significant digits and no exponent where it is not needed.

    Parameters
    ----------
    value : float
        The number; one that is not finite is a dash.
    step : float, optional
        A difference that is to be seen, above 0, for numbers that lie close together.
    """
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if float(value).is_integer() and size < 1e12:
        return f"{value:,.0f}"
    if 100 <= size < 1e12:
        return f"{value:,.{_places(step or 0.1)}f}"
    digits = 3 if step is None else max(3, 1 + math.floor(math.log10(size)) + _places(step))
    return f"{value:.{digits}g}"


def _places(step: float) -> int:
    """Return the digits behind the point that show a step."""
    return max(0, math.ceil(-math.log10(step)))


def short_names(paths: Sequence[str], most: int) -> list[str]:
    """Return the last parts of paths, as many as tell them apart, at most so many characters each.

    Names that are longer have their middle left out.
    """
    parts = [path.replace("\\", "/").rstrip("/").split("/") for path in paths]
    depth = 1
    while depth < max(map(len, parts), default=1):
        if len({"/".join(own[-depth:]) for own in parts}) == len(set(paths)):
            break
        depth += 1
    return [clipped("/".join(own[-depth:]), most) for own in parts]


def clipped(text: str, most: int) -> str:
    """Return a text, its middle left out where it is longer than so many characters."""
    if len(text) <= most:
        return text
    end = (most - 1) * 2 // 3  # endings tell file names apart
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal; a dash where it is not known."""
    return "–" if share != share else f"{100 * share:.1f} %"


def p_value(value: float) -> str:
    """Return a p-value with its sign, for a text: "= 0.031"; a small one as "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"
