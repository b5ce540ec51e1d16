"""A study held against acceptance criteria, on images that chose nothing where there are such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hudd.errors import UsageError
from hudd.evaluation import Verdict, verdict
from hudd.evaluation.acceptance import BOUND, Criterion
from hudd.summary.findings import Findings
from hudd.summary.judge import CHOSE
from hudd.summary.requirements import Requirements
from hudd.summary.severity import CLASSES, Subject, severities_of


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
    images, subject = study.split(split), Subject(study, split)
    known, levels = images.label >= 0, subject.levels(wanted)

    def judged(criterion: Criterion) -> Verdict:
        asks = [criterion.region, *(level.region for level in levels if criterion.severity)]
        names = {bound.parameter for region in asks for bound in region.bounds}
        measured = not names <= {*images.parameters, *CLASSES}
        rows = known & images.counted if measured else known
        columns = {name: values[rows] for name, values in subject.columns.items()}
        return verdict(criterion, columns, subject.failed[rows], levels)

    return [judged(subject.asked(one)) for one in wanted.criteria]


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
