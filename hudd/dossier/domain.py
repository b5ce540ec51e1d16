"""The operational design domain: what the user states, and the values that the images have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from hudd.dossier.content import Domain, Extent
from hudd.study.wording import CAUSE
from hudd.summary.columns import attributes_known
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.review.view import View

_VALUES = 30  # texts that are listed of a parameter


def domain_of(
    results: View,
    columns: Mapping[str, Mapping[str, np.ndarray]],
    used: Collection[str],
    statement: str,
) -> Domain:
    """Return what parameters and attributes the test and training images cover.

    Parameters
    ----------
    results : View
        The study.
    columns : mapping of str to mapping
        Split to its columns, (N,) each.
    used : collection of str
        What conditions ask for.
    statement : str
        The domain in the user's words.
    """
    measured, given = attributes_known(results), results.split("test").parameters
    units = {name: one.unit for name, one in measured.items()} | dict(results.study.settings.units)
    found = [
        _extent(
            name, column, columns.get("train", {}).get(name), units.get(name, ""), name in given, name in used
        )
        for name, column in columns["test"].items()
        if name != CAUSE
    ]
    return Domain(statement, sorted(found, key=lambda one: (not one.used, one.kind != "parameter")))


def _extent(
    name: str, column: np.ndarray, train: np.ndarray | None, unit: str, given: bool, used: bool
) -> Extent:
    values: list[str] = []
    low = high = train_low = train_high = None
    if column.dtype.kind in "OUS":
        values = [printable(value) for value in sorted(set(column.astype(str).tolist()))]
        values = values[:_VALUES] + ([f"and {len(values) - _VALUES} others"] if len(values) > _VALUES else [])
    else:
        low, high = _ends(column)
        train_low, train_high = (None, None) if train is None else _ends(train)
    kind: Literal["parameter", "attribute"] = "parameter" if given else "attribute"
    return Extent(printable(name), kind, printable(unit), low, high, train_low, train_high, values, used)


def _ends(column: np.ndarray) -> tuple[float | None, float | None]:
    if column.dtype.kind in "OUS":
        return None, None
    numbers = column.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)
