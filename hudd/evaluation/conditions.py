"""Conditions on one parameter, and the best of them for a set of rows that should fit."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.draws import Column, best_worths
from hudd.evaluation.regions import Bound

FORMS = frozenset({"below", "above", "inside", "outside"})
_VALUES = 50  # of a text column that conditions are made of


@dataclass(frozen=True)
class Condition:
    """A parameter inside or outside a range.

    Attributes
    ----------
    bound : Bound
        What is asked of which parameter.
    text : str
        The condition in words.
    form : str
        "below", "above", "inside" or "outside" of bounds; "is" or "is not" for a text.
    fits : np.ndarray
        (N,) bool, the rows that fit it.
    worth : float
        Sum of their gains less the cost of the bounds.
    column : int
        Which column of :meth:`Conditions.best_of` it is on.
    """

    bound: Bound
    text: str
    form: str
    fits: np.ndarray
    worth: float
    column: int

    @property
    def parameter(self) -> str:
        """Name of the parameter."""
        return self.bound.parameter

    def within(self, inside: np.ndarray) -> Condition:
        """Return the condition among the rows inside others."""
        return replace(self, fits=self.fits & inside)


@dataclass(frozen=True)
class _Feature:
    """A column of the table: a number with its unit, or whether a text column has one value."""

    parameter: str
    unit: str = ""
    whole: bool = False
    value: str | None = None

    def bound(self, low: float, high: float, outside: bool) -> Bound:
        """Return what is asked: a number from `low` on and below `high`, or outside of that."""
        if self.value is not None:  # a column of zeros and ones
            return Bound(self.parameter, outside=(low > -math.inf) == outside, value=self.value)
        return Bound(self.parameter, low, high, outside)

    def form(self, low: float, high: float, outside: bool) -> str:
        """Say in a word what is asked: to lie above `low` and up to `high`, or outside of that."""
        if self.value is not None:
            return "is" if (low > -math.inf) != outside else "is not"
        if math.isfinite(low) and math.isfinite(high):
            return "outside" if outside else "inside"
        return "below" if math.isfinite(high) != outside else "above"

    def text(self, low: float, high: float, outside: bool) -> str:
        """Say that a row lies above `low` and up to `high`, or outside of that."""
        if self.whole:
            low, high = (value if math.isinf(value) else math.floor(value) + 1 for value in (low, high))
        return self.bound(low, high, outside).words(self.unit, whole=self.whole)


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
    slack : float
        What a bound may lose of the worth to be written with fewer digits.
    forms : mapping of str to set of str
        What may be asked of some parameters: "below", "above", "inside", "outside"; of others anything. Where two
        bounds may be asked for, so may either alone.

    Raises
    ------
    UsageError
        If there are no parameters or lengths differ.
    """

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        count: int,
        units: Mapping[str, str],
        *,
        cost: float,
        slack: float = 0.0,
        forms: Mapping[str, Set[str]] | None = None,
    ) -> None:
        table, self._features, self.cost = *_table(parameters, count, units), cost
        self._table, self._slack, self.parameters = table, slack, tuple(parameters)
        asked = [(forms or {}).get(feature.parameter, FORMS) for feature in self._features]
        self._forms = [one | {"below", "above"} if one & {"inside", "outside"} else one for one in asked]
        self._order = np.argsort(table, axis=1, kind="stable")  # NaN last
        self._columns = [Column.of(values, order) for values, order in zip(table, self._order)]
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
        # A range from cut i to a later cut j gains sums[j] - sums[i]; its outside the rest. What all known rows fit is
        # no condition, and a range from either end on is below or above a bound.
        behind_all = np.arange(sums.shape[1]) == self._known[:, None]
        ends, later = np.where(self._cut, sums, np.inf), np.where(self._cut & ~behind_all, sums, -np.inf)
        inner = np.where(behind_all, np.inf, ends)
        below, above = later.argmax(axis=1), 1 + ends[:, 1:].argmin(axis=1)
        within, beyond = later - _lowest_before(inner), total[:, None] - inner - _lowest_before(-later)
        candidates = []
        for row, feature in enumerate(self._features):
            if feature.parameter in excluded:
                continue
            known = int(self._known[row])
            options = {
                "below": (later[row, below[row]], 0, int(below[row]), False),
                "above": (total[row] - ends[row, above[row]], int(above[row]), known, False),
            }
            for form, gained, first in (
                ("inside", within[row], inner[row]),
                ("outside", beyond[row], -later[row]),
            ):
                stop = int(gained.argmax())
                if np.isfinite(gained[stop]):
                    start = 1 + int(first[1:stop].argmin())
                    options[form] = (gained[stop], start, stop, form == "outside")
            allowed = [
                (value - self.cost * ((i > 0) + (j < known)), row, i, j, out)
                for form, (value, i, j, out) in options.items()
                if form in self._forms[row]
            ]
            candidates += [max(allowed)] if allowed and max(allowed)[0] > 0 else []
        candidates.sort(key=lambda candidate: -candidate[0])
        return [self._condition(gain, sums[c[1]], *c[1:]) for c in candidates]

    def best_of(
        self, sets: np.ndarray, gain: np.ndarray, loss: np.ndarray, *, excluded: Collection[str] = ()
    ) -> np.ndarray:
        """Return what the best condition on each column is worth for each of many sets of rows.

        (P, columns) float64, see :func:`best_worths`; 0 of columns that are left out.
        """
        kept = [row for row, feature in enumerate(self._features) if feature.parameter not in excluded]
        columns, forms = [self._columns[row] for row in kept], [self._forms[row] for row in kept]
        found = np.zeros((len(sets), len(self._columns)))
        found[:, kept] = best_worths(columns, forms, sets, gain, loss, self.cost)
        return found

    def apart(self, parameter: str, rows: np.ndarray, others: np.ndarray) -> float:
        """Return how far the medians of two sets, (N,) bool, lie apart in a number, as a share of its range."""
        at = next(row for row, feature in enumerate(self._features) if feature.parameter == parameter)
        values = self._table[at]
        known = np.isfinite(values)
        if not (known & rows).any() or not (known & others).any():
            return 0.0
        distance = abs(np.median(values[known & rows]) - np.median(values[known & others]))
        return float(distance / max(np.ptp(values[known]), np.finfo(np.float64).tiny))

    def _condition(
        self, gain: np.ndarray, sums: np.ndarray, row: int, start: int, stop: int, outside: bool
    ) -> Condition:
        values, feature = self._table[row], self._features[row]
        low, high = (self._bound(row, sums, place, self._slack) for place in (start, stop))
        if low >= high:  # each has been written shorter than the other allows
            low, high = (self._bound(row, sums, place, -1) for place in (start, stop))
        fits = (values >= low) & (values < high)
        if outside:
            fits = ~fits & np.isfinite(values)
        worth = float(gain[fits].sum()) - self.cost * (math.isfinite(low) + math.isfinite(high))
        asked = (low, high, outside)
        return Condition(feature.bound(*asked), feature.text(*asked), feature.form(*asked), fits, worth, row)

    def _bound(self, row: int, sums: np.ndarray, place: int, slack: float) -> float:
        """Return a number of few digits that cuts the sorted values where it is worth as much, but for the slack."""
        if place == 0:
            return -math.inf
        if place >= self._known[row]:
            return math.inf
        ordered = self._table[row, self._order[row, : self._known[row]]]
        before, after = float(ordered[place - 1]), float(ordered[place])
        middle = (before + after) / 2
        if self._features[row].whole or self._features[row].value is not None:
            return middle
        for digits in range(1, 17):
            short = float(f"{middle:.{digits}g}")
            cut = int(np.searchsorted(ordered, short))
            if before < short <= after or (0 < cut < len(ordered) and abs(sums[cut] - sums[place]) <= slack):
                return short
        return after


def _lowest_before(values: np.ndarray) -> np.ndarray:
    """Smallest value of each row before each place, but for the first one: (f, n), infinite where there is none."""
    lowest = np.full_like(values, np.inf)
    lowest[:, 2:] = np.minimum.accumulate(values[:, 1:-1], axis=1)
    return lowest


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
