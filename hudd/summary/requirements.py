"""Severity levels and acceptance criteria as people write them in a YAML file; every mistake is named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hudd.errors import UsageError
from hudd.evaluation import Bound, Criterion, Region, Severity
from hudd.evaluation.acceptance import level_names
from hudd.settings.yaml_file import read_yaml
from hudd.text import printable

WHAT = "severity levels and acceptance criteria"
LEAST = 1e-9
"""The smallest failure rate that a criterion may allow: less is shown by no test set."""


@dataclass(frozen=True)
class Requirements:
    """What a file of severity levels and acceptance criteria holds.

    Attributes
    ----------
    path : Path
        The file.
    severity : tuple of Severity
        The gravest first.
    criteria : tuple of Criterion
        In the order of the file.
    """

    path: Path
    severity: tuple[Severity, ...]
    criteria: tuple[Criterion, ...]

    @property
    def levels(self) -> list[str]:
        """Names of the severity levels, the gravest first."""
        return level_names(self.severity)


def read_requirements(path: str | Path) -> Requirements:
    """Read a YAML file with the keys ``severity`` and ``criteria``, or one of them.

    Raises
    ------
    UsageError
        If it cannot be read, or something in it is unknown, missing or not allowed; it names file and entry.
    """
    path = Path(path)
    content = read_yaml(path, WHAT)
    if not isinstance(content, dict) or not content:
        raise UsageError(
            f"'{path}' has no entries; give it the keys 'severity' or 'criteria', each with a list."
        )
    _check_keys(content, {"severity", "criteria"}, f"'{path}'")
    levels = tuple(
        Severity(_text(entry, "level", where), _region(entry, where, needed=True))
        for where, entry in _entries(content, "severity", {"level", "where"}, path)
    )
    criteria = tuple(_criteria(content, level_names(levels), path))
    return Requirements(path, levels, criteria)


def _criteria(content: dict[str, Any], levels: list[str], path: Path) -> Iterator[Criterion]:
    known, names = {"name", "where", "at_most", "confidence", "severity"}, set[str]()
    for where, entry in _entries(content, "criteria", known, path):
        severity = None if entry.get("severity") is None else _text(entry, "severity", where)
        if severity is not None and severity not in levels:
            there = f"choose one of: {', '.join(levels)}" if levels else "list levels under 'severity'"
            raise UsageError(f"{where} counts failures of severity '{severity}', which is no level; {there}.")
        at_most = _number(entry, "at_most", where, least=LEAST, like="0.02")
        confidence = _number({"confidence": 0.95} | entry, "confidence", where, least=0.5, like="0.95")
        found = Criterion("", _region(entry, where), at_most, confidence, severity)
        name = _text(entry, "name", where) if "name" in entry else found.text
        if name in names:
            raise UsageError(f"{where} is called '{name}' like another one; give each a name of its own.")
        names.add(name)
        yield Criterion(name, found.region, at_most, confidence, severity)


def _entries(
    content: dict[str, Any], key: str, known: Set[str], path: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a list with what they are called in messages."""
    if key not in content:
        return
    if not isinstance(content[key], list) or not content[key]:
        raise UsageError(
            f"{key} of '{path}' is {_shown(content[key])}; give a list of entries, each after a '-'."
        )
    for number, entry in enumerate(content[key], start=1):
        where = f"entry {number} of {key} in '{path}'"
        if not isinstance(entry, dict):
            raise UsageError(f"{where} is {_shown(entry)}; give it the keys {', '.join(sorted(known))}.")
        _check_keys(entry, known, where)
        yield where, entry


def _check_keys(found: Mapping[str, Any], known: Set[str], where: str) -> None:
    for key in found:
        if key not in known:
            known_keys = ", ".join(sorted(known))
            raise UsageError(f"{where} has the key '{key}', which is unknown; known are: {known_keys}.")


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if isinstance(value, (bool, list, dict)) or value is None or not str(value).strip():
        raise UsageError(f"{key} of {where} is {_shown(value)}; give a text.")
    return printable(str(value).strip())


def _number(entry: Mapping[str, Any], key: str, where: str, *, least: float, like: str) -> float:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1:
        raise UsageError(
            f"{key} of {where} is {_shown(value)}; give a number from {least:g} to below 1, such as {like}."
        )
    return float(value)


def _region(entry: Mapping[str, Any], where: str, *, needed: bool = False) -> Region:
    """Read a condition; all images where there is none."""
    if "where" not in entry and not needed:
        return Region()
    found = entry.get("where")
    if not isinstance(found, dict) or not found:
        raise UsageError(
            f"where of {where} is {_shown(found)}; give columns with what is asked of them, such as "
            "{class: pedestrian, luminance: {below: 0.2}}"
            + ("." if needed else ", or leave it out for all images.")
        )
    return Region(tuple(_bound(column, asked, where) for column, asked in found.items()))


def _bound(column: str, asked: Any, where: str, *, outside: bool = False) -> Bound:
    """Read what is asked of a column: a value, a range, or the opposite of one of these."""
    if isinstance(asked, dict) and not outside and set(asked) == {"not"}:
        return _bound(column, asked["not"], where, outside=True)
    if isinstance(asked, dict) and asked and set(asked) <= {"at_least", "below"}:
        low = _end(asked.get("at_least", -math.inf), column, where)
        high = _end(asked.get("below", math.inf), column, where)
        if not low < high:
            raise UsageError(
                f"{column} of {where} is to be at least {low:g} and below {high:g}, which no number is; give a range "
                "that holds some."
            )
        return Bound(column, low, high, outside)
    if isinstance(asked, (bool, list, dict)) or asked is None:
        raise UsageError(
            f"{column} of {where} is {_shown(asked)}; give a value, a range such as {{at_least: 10, below: 20}}, or "
            "{not: ...} of one; a value that reads as something else goes in quotes."
        )
    if isinstance(asked, str):
        return Bound(column, outside=outside, value=asked)
    number = _end(asked, column, where)
    return Bound(column, number, math.nextafter(number, math.inf), outside)


def _end(value: Any, column: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise UsageError(f"{column} of {where} has the bound {_shown(value)}; give a number.")
    return float(value)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, (dict, list)):
        return f"{value}" if value else "empty"
    return f"'{value}'" if isinstance(value, str) else f"{value}".lower()
