"""The bundled cases, by name."""

from __future__ import annotations

from hudd.data.cases import digits, eyes, mnist
from hudd.data.cases.case import Case
from hudd.errors import UsageError

CASES: dict[str, Case] = {case.name: case for case in (mnist.CASE, digits.CASE, eyes.GAZE, eyes.OPEN)}
_ALIASES = {"eyes": "eyes-gaze"}


def get_case(name: str) -> Case:
    """Return the bundled case called `name`; ``eyes`` is short for ``eyes-gaze``.

    Raises
    ------
    UsageError
        If there is no such case; the message lists those that exist.
    """
    try:
        return CASES[_ALIASES.get(name, name)]
    except KeyError:
        raise UsageError(
            f"case '{name}' is unknown; choose one of: {', '.join((*CASES, *_ALIASES))}."
        ) from None


__all__ = ["CASES", "Case", "get_case"]
