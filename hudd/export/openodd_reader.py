"""Conditions of an OpenODD document as regions, which can be asked about images."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hudd.errors import HuddError, UsageError
from hudd.evaluation import Bound, Region
from hudd.settings.yaml_file import read_yaml

INSIDE = ".inside."
"""Between the name of a module that hudd writes and the number of a range that it excludes as a whole."""

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_COMPARED = re.compile(rf"(>=|<=|==|=|>|<)?\s*{_NUMBER}")
_RANGE = re.compile(rf"\[\s*{_NUMBER}\s*\.\.\s*{_NUMBER}\s*\]")


class _ElsewhereError(Exception):
    """What a module asks cannot be said by bounds that all have to hold."""


def read_openodd(path: str | Path, modules: Collection[str] | None = None) -> dict[str, Region]:
    """Read the conditions of an ASAM OpenODD document as regions.

    Parameters
    ----------
    path : str or Path
        A YAML file that openodd-py reads, in one piece, such as ``odd.yaml`` of ``hudd export --to openodd``.
    modules : collection of str, optional
        The modules to read; by default those that a region can say: such that ask for all of some bounds. Others, that
        ask for one of several conditions or for what is unknown, are then left out.

    Returns
    -------
    dict of str to Region
        The regions by the names of their modules. A concept is the parameter or attribute that its last part names.

    Raises
    ------
    UsageError
        If the file is no such document, a module is not in it, or one that was asked for is no region.
    HuddError
        If openodd-py is not installed.
    """
    path = Path(path)
    try:
        import openodd
    except ImportError as error:
        raise HuddError(
            "reading an OpenODD document needs openodd-py; run pip install '.[openodd]' in hudd's source tree."
        ) from error
    content = read_yaml(path, "an OpenODD document")
    try:
        openodd.load_openodd(path)
    except openodd.OpenOddError as error:
        raise UsageError(f"'{path}' is no OpenODD document that can be read ({error}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("MODULES"), dict):
        raise UsageError(f"'{path}' declares no MODULES, so it has no conditions; name another document.")
    if "IMPORT" in content:
        raise UsageError(f"'{path}' imports other documents; write what they hold into one file.")
    document = _Document(content.get("TAXONOMY") or {}, content["MODULES"])
    if modules is None:
        return document.regions()
    for name in modules:
        if name not in document.modules:
            known = ", ".join(document.modules)
            raise UsageError(f"'{path}' has no module '{name}'; known are: {known}.")
    found = {}
    for name in modules:
        try:
            found[name] = document.region(name)
        except _ElsewhereError as error:
            raise UsageError(f"module '{name}' of '{path}' is no region: {error}; name others.") from None
    return found


class _Document:
    """What a document declares."""

    def __init__(self, taxonomy: Mapping[str, Any], modules: Mapping[str, Any]) -> None:
        self.modules = modules
        leaves = list(_leaves(taxonomy))
        last = [path[-1] for path, _ in leaves]
        self._concepts = {
            ".".join(path): (
                path[-1] if last.count(path[-1]) == 1 else ".".join(path),
                isinstance(kind, list),
            )
            for path, kind in leaves
        }

    def regions(self) -> dict[str, Region]:
        """Return the regions of all modules that are some."""
        found = {}
        for name in self.modules:
            if INSIDE not in name:
                try:
                    found[name] = self.region(name)
                except _ElsewhereError:
                    continue
        return found

    def region(self, name: str) -> Region:
        """Return the region of a module."""
        bounds: list[Bound] = []
        for key, section in self.modules[name].items():
            if key in ("INCLUDE_AND", "INCLUDE_OR", "EXCLUDE_AND", "EXCLUDE_OR"):
                asked = [self._bounds(concept, value) for concept, value in section.items()]
                if key == "INCLUDE_AND":
                    bounds += [bound for all_of in asked for bound in _all(all_of)]
                elif key == "EXCLUDE_OR":
                    bounds += [bound for all_of in asked for bound in _none(all_of)]
                elif len(asked) == 1:
                    bounds += _all(asked[0]) if key == "INCLUDE_OR" else _none(asked[0])
                else:
                    raise _ElsewhereError(f"{key} asks for one of several conditions")
        return Region(_merged(bounds))

    def _bounds(self, concept: str, value: Any) -> tuple[list[Bound], bool]:
        """Return bounds, and whether all of them have to hold (True) or one of them (False)."""
        if concept in self.modules:
            if not isinstance(value, bool):
                raise _ElsewhereError(f"it asks whether module '{concept}' is '{value}'")
            return self._referred(concept, value)
        if concept in ("AND", "OR"):
            raise _ElsewhereError("it nests conditions")
        places = [path for path in self._concepts if path == concept or path.endswith(f".{concept}")]
        if len(places) != 1:
            raise _ElsewhereError(f"it asks about '{concept}', which is no single concept")
        parameter, textual = self._concepts[places[0]]
        if isinstance(value, list) or textual:
            return [
                Bound(parameter, value=str(one)) for one in (value if isinstance(value, list) else [value])
            ], False
        return [Bound(parameter, *_ends(value))], True

    def _referred(self, name: str, holds: bool) -> tuple[list[Bound], bool]:
        bounds = list(self.region(name).bounds)
        if holds:
            return bounds, True
        return [replace(bound, outside=not bound.outside) for bound in bounds], len(bounds) == 1


def _leaves(taxonomy: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the type of every concept."""
    for name, inner in taxonomy.items() if isinstance(taxonomy, dict) else ():
        if isinstance(inner, dict):
            yield from _leaves(inner, (*above, str(name)))
        else:
            yield (*above, str(name)), inner


def _all(asked: tuple[list[Bound], bool]) -> list[Bound]:
    bounds, every = asked
    if not every and len(bounds) > 1:
        raise _ElsewhereError("it asks for one of several conditions")
    return bounds


def _none(asked: tuple[list[Bound], bool]) -> list[Bound]:
    bounds, every = asked
    if every and len(bounds) > 1:
        raise _ElsewhereError("it excludes several conditions together")
    return [replace(bound, outside=not bound.outside) for bound in bounds]


def _ends(value: Any) -> tuple[float, float]:
    """Return from where on and below where a number fits."""
    if isinstance(value, (bool, int, float)):
        return float(value), math.nextafter(float(value), math.inf)
    text = str(value).strip()
    if found := _RANGE.fullmatch(text):
        return float(found[1]), math.nextafter(float(found[2]), math.inf)
    if not (found := _COMPARED.fullmatch(text)):
        raise _ElsewhereError(f"'{value}' is no comparison with a number alone, without a unit")
    sign, number = found[1], float(found[2])
    beyond = math.nextafter(number, math.inf)
    ends = {
        ">=": (number, math.inf),
        ">": (beyond, math.inf),
        "<": (-math.inf, number),
        "<=": (-math.inf, beyond),
    }
    return ends.get(sign, (number, beyond))


def _merged(bounds: list[Bound]) -> tuple[Bound, ...]:
    """Return bounds with one in place of two ends of the same range, and the ends of half lines as such."""
    found: dict[str, Bound] = {}
    rest: list[Bound] = []
    for given in bounds:
        bound = _straight(given)
        if bound.outside or bound.value is not None:
            rest.append(bound)
            continue
        before = found.get(bound.parameter, bound)
        found[bound.parameter] = replace(
            bound, low=max(bound.low, before.low), high=min(bound.high, before.high)
        )
    return (*found.values(), *rest)


def _straight(bound: Bound) -> Bound:
    """Return the opposite of a half line as the other half line."""
    if not bound.outside or bound.value is not None or (bound.low > -math.inf and bound.high < math.inf):
        return bound
    if bound.low > -math.inf:
        return Bound(bound.parameter, high=bound.low)
    return Bound(bound.parameter, low=bound.high)
