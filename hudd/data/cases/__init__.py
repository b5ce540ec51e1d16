"""The cases, by name: hudd's own, those that packages register, and those that a spec points to."""

from __future__ import annotations

from hudd.data.cases.case import SPLITS, Case
from hudd.errors import UsageError
from hudd.parts import CASES
from hudd.specs import is_factory

_ALIASES = {"eyes": "eyes-gaze"}


def canonical(name: str) -> str:
    """Return a case's own name for a short one."""
    return _ALIASES.get(name, name)


def get_case(name: str) -> Case:
    """Return the case called `name`, or that of the spec ``package.module:CASE``; ``eyes`` is short for ``eyes-gaze``.

    Raises
    ------
    UsageError
        If there is no such case; the message lists those that exist. If a package's case cannot be imported, or is
        no :class:`Case`.
    """
    name = canonical(name)
    if name not in CASES and not is_factory(name):
        raise UsageError(
            f"case '{name}' is unknown; choose one of: {', '.join((*CASES, *_ALIASES))}; or give package.module:CASE."
        )
    case = CASES.find(name)
    if not isinstance(case, Case):
        raise UsageError(
            f"case '{name}' is an object of type {type(case).__name__}; it must be a hudd.extend.Case."
        )
    return case


__all__ = ["SPLITS", "Case", "canonical", "get_case"]
