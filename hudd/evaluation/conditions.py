"""Conditions on one parameter, and the best of them for a set of rows that should fit."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.numbers import format_exactly

_VALUES = 50  # of a text column that conditions are made of


@dataclass(frozen=True)
class Condition:
    """A parameter inside or outside a range.

    Attributes
    ----------
    parameter : str
        Its name.
    text : str
        The condition in words.
    fits : np.ndarray
        (N,) bool, the rows that fit it.
    worth : float
        Sum of their gains less the cost of the bounds.
    cost : float
        That cost.
    """

    parameter: str
    text: str
    fits: np.ndarray
    worth: float
    cost: float

    def within(self, inside: np.ndarray, others: Collection[Condition]) -> Condition:
        """Return the condition among the rows inside the others, at the cost of all bounds together."""
        before = sum(other.cost for other in others)
        return replace(self, fits=self.fits & inside, worth=self.worth - before, cost=self.cost)


@dataclass(frozen=True)
class _Feature:
    """A column of the table: a number with its unit, or whether a text column has one value."""

    parameter: str
    unit: str = ""
    whole: bool = False
    value: str | None = None

    def text(self, low: float, high: float, outside: bool) -> str:
        """Say that a row lies above `low` and up to `high`, or outside of that."""
        if self.value is not None:
            return f"{self.parameter} {'is' if (low > -math.inf) != outside else 'is not'} {self.value}"
        unit = f" {self.unit}" if self.unit else ""
        if self.whole:
            low, high = (value if math.isinf(value) else math.floor(value) + 1 for value in (low, high))
        if low == -math.inf:
            words = f"{'>=' if outside else '<'} {format_exactly(high)}"
        elif high == math.inf:
            words = f"{'<' if outside else '>='} {format_exactly(low)}"
        else:
            top = high - 1 if self.whole else high
            words = f"{'outside' if outside else 'in'} {format_exactly(low)}..{format_exactly(top)}"
        return f"{self.parameter} {words}{unit}"


class Conditions:
    """All conditions on N rows.

    Parameters
    ----------
    parameters : mapping of str to np.ndarray
        (N,) numeric or text columns; a text column is taken value by value, its 50 most frequent ones that
        several rows have.
    count : int
        N.
    units : mapping of str to str
        Units of some parameters.
    cost : float
        What each bound takes off a condition's worth.

    Raises
    ------
    UsageError
        If there are no parameters or lengths differ.
    """

    def __init__(
        self, parameters: Mapping[str, np.ndarray], count: int, units: Mapping[str, str], *, cost: float
    ) -> None:
        table, self._features, self._cost = *_table(parameters, count, units), cost
        self._table = table
        self._order = np.argsort(table, axis=1, kind="stable")  # NaN last
        ordered = np.take_along_axis(table, self._order, 1)
        self._known = np.isfinite(ordered).sum(axis=1)
        edge = np.ones((len(table), 1), bool)
        # Between different numbers, and at both ends of those that are known.
        self._cut = np.hstack([edge, ordered[:, 1:] > ordered[:, :-1], ~edge])
        np.put_along_axis(self._cut, self._known[:, None], True, 1)

    def best(self, gain: np.ndarray, *, excluded: Collection[str] = ()) -> list[Condition]:
        """Return the best condition on each column that is of any worth, best first.

        Parameters
        ----------
        gain : np.ndarray
            (N,) what each row adds if it fits; 0 for rows that do not count.
        excluded : collection of str
            Parameters to leave out.
        """
        ordered = gain[self._order]
        ordered[np.arange(ordered.shape[1]) >= self._known[:, None]] = 0
        sums = np.pad(np.cumsum(ordered, axis=1), ((0, 0), (1, 0)))
        total = sums[:, -1]
        # A range from cut i to cut j gains sums[j] - sums[i]; its outside the rest.
        found = []
        for outside in (False, True):
            inner = -sums if outside else sums
            ends = np.where(self._cut, inner, np.inf)
            lowest = np.minimum.accumulate(ends, axis=1)
            gained = np.where(self._cut, inner - lowest, -np.inf)
            stop = gained.argmax(axis=1)
            found.append((stop, gained.max(axis=1) + (total if outside else 0), ends, outside))
        single = np.where(self._cut, sums, -np.inf)
        below, above = single.argmax(axis=1), np.where(self._cut, sums, np.inf).argmin(axis=1)
        candidates = []
        for row, feature in enumerate(self._features):
            if feature.parameter in excluded:
                continue
            known = int(self._known[row])
            options = [
                (sums[row, below[row]], 0, int(below[row]), False),
                (total[row] - sums[row, above[row]], int(above[row]), known, False),
            ]
            options += [
                (gained[row], int(ends[row, : stop[row] + 1].argmin()), int(stop[row]), outside)
                for stop, gained, ends, outside in found
            ]
            worth, start, stop, outside = max(
                (value - self._cost * ((i > 0) + (j < known)), i, j, outside)
                for value, i, j, outside in options
            )
            if worth > 0 and (start > 0 or stop < known):
                candidates.append((worth, row, start, stop, outside))
        candidates.sort(key=lambda candidate: -candidate[0])
        return [self._condition(*candidate) for candidate in candidates]

    def _condition(self, worth: float, row: int, start: int, stop: int, outside: bool) -> Condition:
        values, feature, known = self._table[row], self._features[row], int(self._known[row])
        low, high = self._bound(row, start), self._bound(row, stop)
        fits = (values >= low) & (values < high)
        if outside:
            fits = ~fits & np.isfinite(values)
        bounds = (start > 0) + (stop < known)
        text = feature.text(low, high, outside)
        return Condition(feature.parameter, text, fits, float(worth), self._cost * bounds)

    def _bound(self, row: int, place: int) -> float:
        """Return a number between the sorted values before and after the cut, with few digits."""
        if place == 0:
            return -math.inf
        if place >= self._known[row]:
            return math.inf
        before, after = (float(self._table[row, self._order[row, place - 1 + i]]) for i in (0, 1))
        if self._features[row].whole or self._features[row].value is not None:
            return (before + after) / 2
        middle = (before + after) / 2
        for digits in range(1, 17):
            short = float(f"{middle:.{digits}g}")
            if before < short <= after:
                return short
        return after


def _table(
    parameters: Mapping[str, np.ndarray], count: int, units: Mapping[str, str]
) -> tuple[np.ndarray, list[_Feature]]:
    """Numeric columns as they are, text columns one-hot: (f, N) float64 and what each column means."""
    columns, features = [], []
    for name, values in parameters.items():
        values = np.asarray(values)
        if values.shape != (count,):
            raise UsageError(f"parameter '{name}' has shape {values.shape} but there are {count} labels.")
        if values.dtype.kind in "biuf":
            numbers = values.astype(np.float64)
            known = numbers[np.isfinite(numbers)]
            columns.append(np.where(np.isfinite(numbers), numbers, np.nan))
            features.append(_Feature(name, units.get(name, ""), whole=bool((known == np.round(known)).all())))
        else:
            texts = values.astype(str)
            for value in _common(texts):
                columns.append((texts == value).astype(np.float64))
                features.append(_Feature(name, value=value))
    if not parameters:
        raise UsageError("there are no parameters to make rules from; add columns to the manifest.")
    return np.array(columns, np.float64).reshape(len(columns), count), features


def _common(texts: np.ndarray) -> list[str]:
    """The values that a rule can be made of: those of several rows, of many values the most frequent."""
    values, counts = np.unique(texts, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_VALUES]
    return sorted(values[most][counts[most] > 1].tolist())
