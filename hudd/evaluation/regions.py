"""The part of the input space that a rule describes, as data that can be kept and asked about other images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hudd.evaluation.numbers import format_exactly


@dataclass(frozen=True)
class Bound:
    """What a condition asks of one parameter.

    Attributes
    ----------
    parameter : str
        Its name.
    low, high : float
        A number fits from `low` on and below `high`, or, `outside`, everywhere else. A number that is not finite fits
        in no case.
    outside : bool
        Ask for the opposite.
    value : str or None
        Of a text: fit where it is this one, or, `outside`, where it is not. The numbers do not count then.
    """

    parameter: str
    low: float = -math.inf
    high: float = math.inf
    outside: bool = False
    value: str | None = None

    def holds(self, column: np.ndarray) -> np.ndarray:
        """Return where a column of numbers or texts, (N,), fits: (N,) bool."""
        inside: np.ndarray
        if self.value is not None:
            inside = column.astype(str) == self.value
            known = np.ones(len(column), bool)
        else:
            numbers = column.astype(np.float64)
            inside, known = (numbers >= self.low) & (numbers < self.high), np.isfinite(numbers)
        fits: np.ndarray = (inside != self.outside) & known
        return fits

    def words(self, unit: str = "", *, whole: bool = False) -> str:
        """Say what is asked: "luminance < 0.2"; of whole numbers a range ends at the last that fits."""
        unit = f" {unit}" if unit else ""
        if self.value is not None:
            return f"{self.parameter} {'is not' if self.outside else 'is'} {self.value}"
        if self.low == -math.inf:
            return f"{self.parameter} {'>=' if self.outside else '<'} {format_exactly(self.high)}{unit}"
        if self.high == math.inf:
            return f"{self.parameter} {'<' if self.outside else '>='} {format_exactly(self.low)}{unit}"
        if self.high == math.nextafter(self.low, math.inf):
            return f"{self.parameter} {'!=' if self.outside else '='} {format_exactly(self.low)}{unit}"
        top = self.high - 1 if whole else self.high
        between = f"{format_exactly(self.low)}..{format_exactly(top)}{unit}"
        return f"{self.parameter} {'outside' if self.outside else 'in'} {between}"


@dataclass(frozen=True)
class Region:
    """Images for which every one of some bounds holds.

    Attributes
    ----------
    bounds : tuple of Bound
        None for all images.
    """

    bounds: tuple[Bound, ...] = ()

    def holds(self, parameters: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """Return which of N images lie in it.

        Parameters
        ----------
        parameters : mapping of str to np.ndarray
            (N,) columns.
        count : int
            N.

        Returns
        -------
        np.ndarray
            (N,) bool; nowhere true where a parameter that is asked for is not known.
        """
        fits = np.ones(count, bool)
        for bound in self.bounds:
            column = parameters.get(bound.parameter)
            fits &= False if column is None else bound.holds(np.asarray(column))
        return fits

    def known(self, parameters: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """Return of which of N images everything is known that it asks about: (N,) bool."""
        found = np.ones(count, bool)
        for bound in self.bounds:
            column = np.asarray(parameters.get(bound.parameter, np.full(count, np.nan)))
            found &= bound.value is not None or np.isfinite(column.astype(np.float64))
        return found

    def words(self) -> str:
        """Say what is asked: "class is pedestrian and luminance < 0.2"; "" of all images."""
        return " and ".join(bound.words() for bound in self.bounds)

    def to_json(self) -> str:
        """Return it as a JSON list, without the bounds that are not there."""
        rows = []
        for bound in self.bounds:
            row: dict[str, object] = {"parameter": bound.parameter}
            if bound.value is not None:
                row["value"] = bound.value
            else:
                row |= {k: v for k, v in (("low", bound.low), ("high", bound.high)) if math.isfinite(v)}
            rows.append(row | ({"outside": True} if bound.outside else {}))
        return json.dumps(rows, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Region:
        """Read what :meth:`to_json` wrote."""
        return cls(tuple(Bound(**row) for row in json.loads(text)))
