"""When a condition counts as mitigated: fixed beyond chance, in every run, and no longer a condition of failure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hudd.dossier.changes import Changes, is_mitigated, is_reduced
from hudd.evaluation import Bound, Region

COUNT = 400
REGION = Region((Bound("x", high=0.5),))
COLUMNS = {"test": {"x": np.where(np.arange(COUNT) < 100, 0.0, 1.0)}}
FAILED = np.arange(COUNT) < 80  # 80 of the 100 in the region, none of the others


def _run(fixed: int, broken_outside: int = 0, broken_inside: int = 0) -> dict[str, Any]:
    after = FAILED.copy()
    after[:fixed] = False
    after[80 : 80 + broken_inside] = True
    after[100 : 100 + broken_outside] = True
    return {"before": ~FAILED, "after": ~after, "weights": ""}


def _changes(*runs: dict[str, Any]) -> Changes:
    study = SimpleNamespace(settings=SimpleNamespace(effective_strategy="hudd"))
    split = SimpleNamespace(label=np.zeros(COUNT, int), counted=np.ones(COUNT, bool))
    results = SimpleNamespace(
        study=study,
        retraining={"hudd": list(runs)},
        path=Path("/nowhere"),
        has=lambda name: True,
        split=lambda name: split,
    )
    return Changes(results, {1: REGION}, COLUMNS)


@pytest.mark.parametrize(
    ("runs", "reduced", "mitigated"),
    [
        ([_run(80)], True, True),
        ([_run(78, broken_outside=6)], True, True),
        ([_run(40)], True, False),  # 40 of 100 still fail, and none elsewhere
        ([_run(0)], False, False),
        ([_run(5)], False, False),  # beyond chance it is not
        ([_run(20, broken_inside=20)], False, False),
        ([_run(80), _run(40)], True, False),
        ([_run(80), _run(0)], False, False),
    ],
)
def test_status_is_that_of_the_run_that_did_least(runs, reduced: bool, mitigated: bool) -> None:
    change = _changes(*runs).inside(1)
    assert (is_reduced(change), is_mitigated(change)) == (reduced, mitigated)


def test_counts_are_those_of_the_region() -> None:
    change = _changes(_run(30, broken_outside=9, broken_inside=2)).inside(1)
    assert (change.before.failures, change.before.images) == (80, 100)
    assert (change.after.failures, change.fixed, change.regressed) == (52, 30, 2)
    (whole,) = _changes(_run(30, broken_outside=9, broken_inside=2)).whole()
    assert (whole.after.failures, whole.fixed, whole.regressed) == (61, 30, 11)
    assert whole.excess_p_value is None


def test_without_runs_there_is_no_change() -> None:
    assert _changes().inside(1) is None
    assert _changes().whole() == []
