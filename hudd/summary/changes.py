"""What retraining fixed and what regressed, run by run: in all, by cause and by class, with tests and intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hudd.evaluation import PairedChange, holm, wilson
from hudd.evaluation.paired import paired_change
from hudd.language import gettext as _
from hudd.language import marked
from hudd.summary.causes import cause_facts, fits_of_causes
from hudd.summary.findings import Findings
from hudd.summary.judge import NOWHERE, causes_near
from hudd.text import printable

ALL = marked("all images")
Interval = tuple[float, float]


@dataclass(frozen=True)
class GroupChange:
    """Some images before and after a retraining.

    Attributes
    ----------
    by : str
        What the images have in common: "all", "cause" or "class".
    number : int
        Of the cause, 0 for images near none, or of the class.
    name : str
        What the group is called.
    failures, correct : int
        Images that the DNN got wrong before, and the others.
    fixed, regressed : int
        Failures that are right after it, and others that are wrong.
    paired : PairedChange or None
        The difference in failure rate and its test, adjusted over the causes or classes by the method of Holm (Scand.
        J. Statist. 6(2), 1979). None of a cause on the test set: its images were chosen by being wrong before.
    """

    by: str
    number: int
    name: str
    failures: int
    correct: int
    fixed: int
    regressed: int
    paired: PairedChange | None

    @property
    def fixed_interval(self) -> Interval:
        """The 95 % interval (Wilson) of the share of the failures that is fixed."""
        return wilson(self.fixed, self.failures)

    @property
    def regressed_interval(self) -> Interval:
        """The 95 % interval (Wilson) of the share of the others that regressed."""
        return wilson(self.regressed, self.correct)


@dataclass(frozen=True)
class RunChange:
    """A retraining, image by image.

    Attributes
    ----------
    mode : str
        The strategy.
    run, runs : int
        Its number from 0, and how many retrainings by this strategy there are.
    on : str
        "judge" where there is a judge set, else "test".
    groups : list of GroupChange
        All images first, then those of each cause, then those of each class.
    """

    mode: str
    run: int
    runs: int
    on: str
    groups: list[GroupChange]

    @property
    def all(self) -> GroupChange:
        """All images."""
        return self.groups[0]

    @property
    def about(self) -> str:
        """What the images are, in words."""
        told = _("{images} judge images, which chose nothing")
        if self.on == "test":
            told = _("{images} test images; these images chose the clusters")
        return told.format(images=f"{self.all.failures + self.all.correct:,}")

    @property
    def which(self) -> str:
        """Which of the retrainings it is, in words; the weights of the first are kept."""
        mode = printable(self.mode)
        if self.runs == 1:
            return _("Retraining by {mode}").format(mode=mode)
        told = _("Retraining by {mode}, run {run} of {runs}")
        return told.format(mode=mode, run=self.run + 1, runs=self.runs)

    def cause(self, number: int) -> GroupChange | None:
        """Return what became of the images of a cause; None where nothing is known of it."""
        return next((one for one in self.groups if one.by == "cause" and one.number == number), None)


def run_changes(study: Findings) -> list[RunChange]:
    """Return what every retraining changed, on the judge set where there is one, else on the test set.

    A judge image belongs to the cause that it is near, see :func:`hudd.summary.judge.judge_table`. A test image that
    the DNN got wrong belongs to its own cause, a correctly classified one to every cause whose rule holds.
    """
    found, places = [], dict[str, list[tuple[str, int, str, np.ndarray]]]()
    for mode, runs in study.retraining.items():
        for number, run in enumerate(runs):
            on, told = ("judge", run["judge"]) if "judge" in run else ("test", run)
            if on not in places:
                places[on] = list(_groups(study, on))
            before, after = (np.asarray(told[when], bool) for when in ("before", "after"))
            groups = [_change(on, *place, before, after) for place in places[on]]
            found.append(RunChange(mode, number, len(runs), on, _adjusted(groups)))
    return found


def changes_table(study: Findings) -> pd.DataFrame:
    """One row a retraining and group of images: all of them, those of each cause and of each class."""
    rows: list[dict[str, Any]] = []
    unknown = math.nan, math.nan
    for change in run_changes(study):
        for group in change.groups:
            paired = group.paired
            low, high = paired.interval if paired else unknown
            rows.append(
                {
                    "mode": change.mode,
                    "run": change.run,
                    "on": change.on,
                    "by": group.by,
                    "group": group.name,
                    "failures": group.failures,
                    "fixed": group.fixed,
                    "fixed_low": group.fixed_interval[0],
                    "fixed_high": group.fixed_interval[1],
                    "correct": group.correct,
                    "regressed": group.regressed,
                    "regressed_low": group.regressed_interval[0],
                    "regressed_high": group.regressed_interval[1],
                    "difference": paired.difference if paired else math.nan,
                    "low": low,
                    "high": high,
                    "p_value": paired.p_value if paired else math.nan,
                }
            )
    return pd.DataFrame(rows)


def told(change: RunChange) -> pd.DataFrame:
    """Return the groups of a retraining as a table to print: counts with their 95 % intervals."""

    def counted(count: int, of: int, interval: Interval) -> str:
        low, high = (round(100 * end) for end in interval)
        return f"{count:,} of {of:,} ({low}–{high} %)" if of else "–"

    return pd.DataFrame(
        [
            {
                "images of": f"{group.by} {group.name}" if group.by == "class" else group.name,
                "fixed": counted(group.fixed, group.failures, group.fixed_interval),
                "regressed": counted(group.regressed, group.correct, group.regressed_interval),
                "p": f"{group.paired.p_value:.2g}" if group.paired else "–",
            }
            for group in change.groups
        ]
    )


def _groups(study: Findings, on: str) -> Iterator[tuple[str, int, str, np.ndarray]]:
    """Yield how images are grouped, the number and name of each group and which images are in it, (N,) bool."""
    split = study.split(on)
    yield "all", 0, _(ALL), np.ones(len(split.label), bool)
    if study.has("clusters"):
        names = {cause.number: cause.name for cause in cause_facts(study)}
        if on == "judge" and study.has("judge"):
            near = causes_near(study)
            yield from (("cause", one, name, near == one) for one, name in (names | {0: _(NOWHERE)}).items())
        elif on == "test":
            label, fits = np.zeros(len(split.label), np.int64), fits_of_causes(study)
            label[study.errors] = study.causes.of_error
            for one, name in names.items():
                yield "cause", one, name, (label == one) | (fits.get(one, False) & split.correct)
    if study.task.has_classes:
        classes = study.class_names
        for one in np.unique(split.label[split.label >= 0]).tolist():
            yield "class", one, classes[one] if one < len(classes) else str(one), split.label == one


def _change(
    on: str, by: str, number: int, name: str, inside: np.ndarray, before: np.ndarray, after: np.ndarray
) -> GroupChange:
    before, after = before[inside], after[inside]
    found = paired_change(before, after)
    paired = found if on == "judge" or by != "cause" else None
    wrong = int((~before).sum())
    return GroupChange(by, number, name, wrong, len(before) - wrong, found.fixed, found.regressed, paired)


def _adjusted(groups: Sequence[GroupChange]) -> list[GroupChange]:
    """Adjust the p-values over the causes, and over the classes."""
    found = []
    for by in ("all", "cause", "class"):
        own = [group for group in groups if group.by == by]
        adjusted = iter(holm([group.paired.p_value for group in own if group.paired]))
        for group in own:
            paired = replace(group.paired, p_value=next(adjusted)) if group.paired else None
            found.append(replace(group, paired=paired))
    return found
