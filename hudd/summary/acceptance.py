"""A study held against severity levels and acceptance criteria, on images that chose nothing where there are such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from hudd.data.files import first
from hudd.errors import UsageError
from hudd.evaluation import Bound, Criterion, Region, Severity, Verdict, severities, verdict
from hudd.evaluation.acceptance import BOUND
from hudd.evaluation.numbers import format_exactly
from hudd.summary.columns import columns_of
from hudd.summary.findings import Findings
from hudd.summary.judge import CHOSE
from hudd.summary.requirements import Requirements

_SHOWN = 12  # columns or values in a message
CLASSES = ("class", "prediction")
"""Columns of every split of a study: what is right, and what the DNN says."""


def confirming(study: Findings) -> str:
    """Return the set that figures are told on: "judge" where there is one, else "test"."""
    return "judge" if study.has("splits/judge") else "test"


def verdicts(study: Findings, wanted: Requirements) -> list[Verdict]:
    """Hold a study against every criterion, on the judge set where there is one, else on the test set.

    Parameters
    ----------
    study : Findings
        Whose DNN was tested.
    wanted : Requirements
        See :func:`hudd.summary.read_requirements`.

    Raises
    ------
    UsageError
        If there are no criteria, or one asks about a column or class that the study does not have.
    """
    if not wanted.criteria:
        raise UsageError(f"'{wanted.path}' has no acceptance criteria; list them under the key 'criteria'.")
    split = confirming(study)
    known, subject = study.split(split).label >= 0, _Subject(study, split)
    columns = {name: values[known] for name, values in subject.columns.items()}
    failed, levels = subject.failed[known], subject.levels(wanted)
    return [verdict(subject.asked(one), columns, failed, levels) for one in wanted.criteria]


def severities_of(study: Findings, wanted: Requirements, split: str = "test") -> np.ndarray:
    """Return the severity of each failure in a split: (N,) object, "" where there is none.

    Raises
    ------
    UsageError
        If there are no levels, or one asks about a column or class that the study does not have.
    """
    if not wanted.severity:
        raise UsageError(f"'{wanted.path}' has no severity levels; list them under the key 'severity'.")
    subject = _Subject(study, split)
    return severities(subject.levels(wanted), subject.columns, subject.failed)


def acceptance_record(study: Findings, wanted: Requirements, found: Sequence[Verdict]) -> dict[str, Any]:
    """Return verdicts, and what they were counted on, as JSON-able values."""
    split = confirming(study)
    about = "judge set, which chose nothing" if split == "judge" else f"test set; {CHOSE}"
    counts = dict[str, int]()
    if wanted.severity:
        images = study.split(split)
        failed = ~images.correct & (images.label >= 0)
        levels = severities_of(study, wanted, split)[failed]
        counts = {level: int((levels == level).sum()) for level in (*wanted.levels, "")}
    return {
        "study": str(study.path),
        "criteria": str(wanted.path),
        "on": split,
        "about": f"acceptance criteria on the {about}",
        "bound": BOUND,
        "passed": all(one.passed for one in found),
        "verdicts": [one.to_dict() for one in found],
        "severities": counts,
    }


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


class _Subject:
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
            closest = get_close_matches(name, self.columns, len(self.columns), cutoff=0)
            raise UsageError(
                f"{where} asks about '{name}', which the {self._split} set does not have; known are: "
                f"{first(closest, _SHOWN)}."
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
