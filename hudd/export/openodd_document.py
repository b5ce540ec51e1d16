"""An ASAM OpenODD document of conditions on images, as text.

Keys and texts are written as JSON has them, which is YAML, but for what only YAML can escape.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from hudd.evaluation import Bound, Region
from hudd.export.openodd_reader import INSIDE
from hudd.summary.coverage import Axis

GROUP = "image"
"""What the concepts of the taxonomy belong to: the parameter ``light`` is the concept ``image.light``."""


def document(
    axes: Sequence[Axis], modules: Mapping[str, Region], titles: Mapping[str, str], confirmed: Sequence[str]
) -> str:
    """Return an OpenODD document with a module for every condition.

    The module ``ODD`` excludes those that are confirmed: it is the domain in which none of them holds. The others are
    not active.

    Parameters
    ----------
    axes : sequence of Axis
        What conditions ask about.
    modules : mapping of str to Region
        The conditions by their names.
    titles : mapping of str to str
        What they are called.
    confirmed : sequence of str
        Names of those that are confirmed.
    """
    lines = ["TAXONOMY:", f"  {GROUP}:"]
    for axis in axes:
        kind = "float" if axis.edges else _listed(axis.values)
        lines.append(f"    {_quoted(axis.name)}: {kind}")
    lines.append("MODULES:")
    for name, region in modules.items():
        lines += _module(name, region, titles.get(name, ""), name in confirmed)
    lines += ["  ODD:", f"    TITLE: {_quoted('no confirmed triggering condition')}"]
    if confirmed:
        lines += ["    EXCLUDE_OR:", *(f"      {_quoted(name)}: true" for name in confirmed)]
    else:
        lines += ["    INCLUDE_OR:", *(f"      {line}" for line in _anything(axes[0]))]
    return "\n".join(lines) + "\n"


def _module(name: str, region: Region, title: str, active: bool) -> list[str]:
    """Return the lines of a module, before it those of the ranges that it excludes as a whole."""
    include: list[str] = []
    exclude: list[str] = []
    before: list[str] = []
    for number, bound in enumerate(region.bounds, start=1):
        concept = _concept(bound.parameter)
        if bound.value is not None:
            (exclude if bound.outside else include).append(f"{concept}: {_listed([bound.value])}")
        elif bound.outside and math.isfinite(bound.low) and math.isfinite(bound.high):
            inner = f"{name}{INSIDE}{number}"
            before += _module(inner, Region((Bound(bound.parameter, bound.low, bound.high),)), "", active)
            exclude.append(f"{_quoted(inner)}: true")
        else:
            low, high = (bound.high, bound.low) if bound.outside else (bound.low, bound.high)
            if math.isfinite(low):
                include.append(f'{concept}: ">= {low!r}"')
                exclude += [f'{concept}: ">= {high!r}"'] if math.isfinite(high) else []
            else:
                include.append(f'{concept}: "< {high!r}"')
    lines = [f"  {_quoted(name)}:", f"    TITLE: {_quoted(title)}"] if title else [f"  {_quoted(name)}:"]
    lines += [] if active else ["    ACTIVE: false"]
    lines += ["    INCLUDE_AND:", *(f"      {line}" for line in include)] if include else []
    lines += ["    EXCLUDE_OR:", *(f"      {line}" for line in exclude)] if exclude else []
    return before + lines


def _anything(axis: Axis) -> list[str]:
    """Return conditions of which one holds for every known value."""
    concept = _concept(axis.name)
    return [f'{concept}: ">= {axis.edges[0]!r}"' if axis.edges else f"{concept}: {_listed(axis.values)}"]


def binding(axes: Sequence[Axis], study: str) -> str:
    """Return the file that tells openodd-py how concepts are divided into buckets."""
    lines = ["openodd: [odd.yaml]", f"name: {_quoted(study)}", "probes:"]
    for axis in axes:
        lines.append(f"  {_concept(axis.name)}:")
        values = f"buckets: {json.dumps(axis.edges)}" if axis.edges else f"values: {_listed(axis.values)}"
        lines.append(f"    {values}")
    return "\n".join(lines) + "\n"


def _concept(parameter: str) -> str:
    return _quoted(f"{GROUP}.{parameter}")


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    """Return a text in double quotes; halves of surrogate pairs, which no file can hold, as if they were typed."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(whole, ensure_ascii=False))


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else f"\\U{ord(character):08x}"
