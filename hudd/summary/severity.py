"""How severe each failure of a study is, by levels that people define, and what their conditions ask about."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from hudd.data.files import first
from hudd.errors import UsageError
from hudd.evaluation import Bound, Criterion, Region, Severity, severities
from hudd.evaluation.numbers import format_exactly
from hudd.summary.columns import columns_of
from hudd.summary.findings import Findings
from hudd.summary.requirements import Requirements, read_requirements

_SHOWN = 12  # columns or values in a message
CLASSES = ("class", "prediction")
"""Columns of every split of a study: what is right, and what the DNN says."""


def severities_of(study: Findings, wanted: Requirements, split: str = "test") -> np.ndarray:
    """Return the severity of each failure in a split: (N,) object, "" where there is none.

    Raises
    ------
    UsageError
        If there are no levels, or one asks about a column or class that the study does not have.
    """
    check_levels(wanted)
    subject = Subject(study, split)
    return severities(subject.levels(wanted), subject.columns, subject.failed)


def levels_of(study: Findings) -> Requirements | None:
    """Return the severity levels that a study was given; None where it has none.

    Raises
    ------
    UsageError
        If their file cannot be read any more, or has no levels.
    """
    if study.settings.severity is None:
        return None
    found = read_requirements(study.settings.severity)
    check_levels(found)
    return found


def check_levels(wanted: Requirements) -> None:
    """Refuse a file without severity levels."""
    if not wanted.severity:
        raise UsageError(f"'{wanted.path}' has no severity levels; list them under the key 'severity'.")


@dataclass(frozen=True)
class ErrorSeverity:
    """How severe the errors of a study are.

    Attributes
    ----------
    levels : list of str
        Names of the levels, the gravest first.
    level : np.ndarray
        (N_errors,) object, the level of each error; "" where none applies.
    """

    levels: list[str]
    level: np.ndarray

    def counts(self, rows: np.ndarray | None = None) -> dict[str, int]:
        """Count errors by level, the gravest first, then "" for those of no level; of some (n,) int64 error rows."""
        own = self.level if rows is None else self.level[rows]
        return {level: count for level in (*self.levels, "") if (count := int((own == level).sum()))}


def severity_of_errors(study: Findings) -> ErrorSeverity | None:
    """Return how severe each error is; None where the study has no levels, or they cannot be read any more."""
    try:
        wanted = levels_of(study)
        if wanted is None:
            return None
        return ErrorSeverity(wanted.levels, severities_of(study, wanted)[study.errors])
    except UsageError:  # which is told among the cautions
        return None


def severity_text(counts: dict[str, int]) -> str:
    """Say how many failures have which severity: "grave 3, slight 12, of no level 4"."""
    return ", ".join(f"{level or 'of no level'} {count:,}" for level, count in counts.items())


def conditioned(study: Findings, split: str) -> dict[str, np.ndarray]:
    """Return the columns that a condition may ask about: those of :func:`columns_of`, class and prediction."""
    images, names = study.split(split), study.class_names
    columns = columns_of(study, split)
    for name, numbers in zip(CLASSES, (images.label, images.prediction)):
        columns.pop(name, None)
        if name != "class" or study.task.has_classes:
            called = [names[one] if 0 <= one < len(names) else str(one) for one in numbers.tolist()]
            columns[name] = np.array(called, object)
    return columns


def closest(name: str, known: Collection[str]) -> str:
    """List names for a message, those that are most like `name` first."""
    return first(get_close_matches(name, sorted(known), len(known), cutoff=0), _SHOWN)


class Subject:
    """A split of a study, and what its columns make of what people have written."""

    def __init__(self, study: Findings, split: str) -> None:
        images = study.split(split)
        self._study, self._split = study, split
        self.columns = conditioned(study, split)
        self.failed = ~images.correct & (images.label >= 0)

    def levels(self, wanted: Requirements) -> list[Severity]:
        """Return the severity levels, their conditions as the columns have it."""
        return [
            replace(one, region=self.resolved(one.region, f"severity '{one.level}'"))
            for one in wanted.severity
        ]

    def asked(self, criterion: Criterion) -> Criterion:
        """Return a criterion, its condition as the columns have it."""
        found = replace(criterion, region=self.resolved(criterion.region, f"criterion '{criterion.name}'"))
        return replace(found, name=found.text) if criterion.name == criterion.text else found

    def resolved(self, region: Region, where: str) -> Region:
        """Return a condition as the columns have it: what was written as a number may be a text.

        Raises
        ------
        UsageError
            If a column, a class or a text is not known, or numbers are compared with texts.
        """
        return Region(tuple(self._bound(bound, where) for bound in region.bounds))

    def _bound(self, bound: Bound, where: str) -> Bound:
        name = bound.parameter
        if name not in self.columns:
            raise UsageError(
                f"{where} asks about '{name}', which the {self._split} set does not have; known are: "
                f"{closest(name, self.columns)}."
            )
        if self.columns[name].dtype.kind in "biuf":
            if bound.value is not None:
                raise UsageError(
                    f"{where} asks whether {name} is '{bound.value}', and it is a number; give a range."
                )
            return bound
        value = bound.value if bound.value is not None else _as_text(bound)
        if value is None:
            raise UsageError(f"{where} asks for a range of {name}, which is a text; give one of its values.")
        values = self._values(name)
        if value not in values:
            raise UsageError(
                f"{where} asks whether {name} is '{value}', but it is one of: {first(values, _SHOWN)}."
            )
        return Bound(name, outside=bound.outside, value=value)

    def _values(self, name: str) -> list[str]:
        """The texts that a column may have: the names of the classes, or what images of the test set have, too."""
        if name in CLASSES:
            return [*self._study.class_names]
        tested = conditioned(self._study, "test").get(name, ())
        return sorted({str(value) for values in (self.columns[name], tested) for value in values})


def _as_text(bound: Bound) -> str | None:
    """What was written as a single number; None where it was a range."""
    single = bound.high == math.nextafter(bound.low, math.inf)
    return format_exactly(bound.low) if single else None
