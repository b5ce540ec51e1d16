"""What retraining fixed and broke, by cause and by class, on which images, run by run."""

from types import SimpleNamespace

import numpy as np
import pytest

from hudd.review.view import view
from hudd.summary.changes import changes_table, run_changes, told


@pytest.fixture
def study(make_study, monkeypatch):
    """Six judge images in two classes; errors, causes and rules of the test set are the fake study's."""
    study = make_study()
    rules = {
        "cause": np.array([1, 2]),
        "name": np.array(["a", "b"], object),
        "text": np.array(["angle >= 25", ""], object),
        "p_value": np.array([0.001, 1]),
        "recall": np.array([1, 1]),
        "region": np.array(['[{"parameter": "angle", "low": 25}]', "[]"], object),
    }
    monkeypatch.setattr(type(study), "evaluation", property(lambda self: {"causes": rules}))
    has = type(study).has
    monkeypatch.setattr(type(study), "has", lambda self, what: what == "evaluation" or has(self, what))
    return study


def judged(study, monkeypatch, *runs):
    """Give the study a judge set whose first three images of six are wrong, and retrainings with these answers."""
    before = np.arange(6) >= 3
    study._splits["judge"] = SimpleNamespace(
        path=[*"abcdef"],
        label=np.array([0, 0, 1, 1, 1, 1]),
        prediction=np.where(before, 1, 2),
        correct=before,
        parameters={"angle": np.array([30, 30, 0, 30, 0, 0.0])},
        attributes={},
        counted=np.ones(6, bool),
    )
    made = [
        {"before": study.split("test").correct, "after": study.split("test").correct}
        | {"judge": {"before": before, "after": np.array(after, bool)}}
        for after in runs
    ]
    monkeypatch.setattr(type(study), "retraining", property(lambda self: {"hudd": made}))
    has = type(study).has
    monkeypatch.setattr(
        type(study), "has", lambda self, what: what in ("judge", "splits/judge") or has(self, what)
    )
    monkeypatch.setattr("hudd.summary.changes.causes_near", lambda study: np.array([1, 1, 2, 0, 0, 2]))
    return view(study)


def test_on_the_test_set_errors_are_of_their_cause_and_others_where_its_rule_holds(study):
    other, own = run_changes(view(study))  # strategies by name: bl1 changes nothing
    assert (other.all.fixed, other.all.regressed, other.all.paired.p_value) == (0, 0, 1)
    assert own.on == "test"
    assert own.about.endswith("test images; these images chose the clusters")
    test, run = study.split("test"), study.retraining["hudd"][0]
    before, after = run["before"], run["after"]
    cause = own.cause(1)
    label = np.zeros(len(before), int)
    label[study.errors] = study.causes.of_error
    assert (cause.failures, cause.fixed) == ((label == 1).sum(), (after & (label == 1)).sum())
    inside = before & (test.parameters["angle"] >= 25)
    assert (cause.correct, cause.regressed) == (inside.sum(), (inside & ~after).sum())
    assert cause.paired is None  # its images were chosen by having failed
    assert own.cause(2).correct == 0
    for by in ("class", "all"):
        groups = [one for one in own.groups if one.by == by]
        assert sum(one.failures for one in groups) == (~before).sum()
        assert sum(one.regressed for one in groups) == (before & ~after).sum()


def test_a_judge_set_comes_first_and_images_are_of_the_cause_that_they_are_near(study, monkeypatch):
    results = judged(study, monkeypatch, [1, 1, 0, 0, 1, 1])
    [change] = run_changes(results)
    assert (change.on, change.about) == ("judge", "6 judge images, which chose nothing")
    assert (change.which, change.runs) == ("Retraining by hudd", 1)
    counts = {
        (one.by, one.number): (one.failures, one.fixed, one.correct, one.regressed) for one in change.groups
    }
    assert counts == {
        ("all", 0): (3, 2, 3, 1),
        ("cause", 1): (2, 2, 0, 0),
        ("cause", 2): (1, 0, 1, 0),
        ("cause", 0): (0, 0, 2, 1),
        ("class", 0): (2, 2, 0, 0),
        ("class", 1): (1, 0, 3, 1),
    }
    assert change.cause(1).paired.p_value == 1  # 0.5, adjusted over three causes
    frame = changes_table(results)
    assert frame["difference"].iloc[0] == pytest.approx(-1 / 6)
    words = told(change)
    assert words["fixed"].tolist()[:2] == ["2 of 3 (21–94 %)", "2 of 2 (34–100 %)"]
    assert words["regressed"].tolist()[:2] == ["1 of 3 (6–79 %)", "–"]


def test_every_run_is_told_of_by_itself(study, monkeypatch):
    results = judged(study, monkeypatch, [1] * 6, [0] * 6)
    better, worse = run_changes(results)
    assert (better.which, worse.which) == ("Retraining by hudd, run 1 of 2", "Retraining by hudd, run 2 of 2")
    assert (better.all.fixed, better.all.regressed) == (3, 0)
    assert (worse.all.fixed, worse.all.regressed) == (0, 3)
    assert changes_table(results)["run"].unique().tolist() == [0, 1]
