"""Which causes come first, and what is said of those without a rule."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hudd.cli import printing
from hudd.review.view import view
from hudd.summary import cause_facts
from hudd.summary.causes import causes_table


@pytest.fixture
def study(make_study, monkeypatch):
    """Two causes, of which neither deviates in a common way and the second has a rule."""
    study = make_study()
    causes = study.causes
    assert causes.numbers == [1, 2]
    study.causes = replace(causes, common=np.zeros(2, bool))
    rules = {
        "cause": np.array([1, 2]),
        "name": np.array(["", "dark images: light < 0.2"], object),
        "text": np.array(["", "light < 0.2"], object),
        "p_value": np.array([1, 0.001]),
        "recall": np.array([1, 0.9]),
        "images": np.array([100, 500]),
        "failures": np.array([100, 90]),
    }
    rates = {
        "cause": np.array([2]),
        "images": np.array([12345]),
        "failures": np.array([678]),
        "images_outside": np.array([50000]),
        "failures_outside": np.array([1000]),
        "p_value": np.array([0.001]),
    }
    found = {"causes": rules, "rates": rates}
    monkeypatch.setattr(type(study), "evaluation", property(lambda self: found))
    monkeypatch.setattr(
        type(study), "has", lambda self, what: what in ("evaluation", "clusters", "splits/test")
    )
    return view(study)


def test_what_a_rule_tells_apart_has_something_in_common(study):
    found = cause_facts(study)
    assert [(one.number, one.common) for one in found] == [(2, True), (1, False)]
    assert found[0].name.endswith("dark images: light < 0.2")


def test_a_rule_is_confirmed_by_images_that_did_not_choose_it(study):
    ruled, other = cause_facts(study)
    assert (ruled.rate.confirmed, ruled.unconfirmed) == (True, False)
    assert ruled.rate.share == 678 / 1678
    assert (other.rate, other.unconfirmed) == (None, False)
    study.evaluation["rates"]["p_value"][0] = 0.2
    assert cause_facts(study)[0].unconfirmed
    study.evaluation["rates"]["cause"][0] = 1  # in most parts no rule of the second
    assert cause_facts(study)[0].unconfirmed
    del study.evaluation["rates"]  # as older versions wrote it
    assert (cause_facts(study)[0].rate, cause_facts(study)[0].unconfirmed) == (None, False)


def test_no_rule_has_no_counts(study, monkeypatch):
    frame = causes_table(study)
    assert frame["fits"].tolist() == [12345, pd.NA]
    output = io.StringIO()
    monkeypatch.setattr(printing, "console", Console(file=output, width=200))
    printing.print_table("Causes", frame[["cause", "fits", "failures"]])
    rows = [line.split() for line in output.getvalue().splitlines() if line.startswith("│")]
    assert rows == [["│", "2", "│", "12345", "│", "678", "│"], ["│", "1", "│", "│", "│"]]


def test_a_judge_set_counts_what_the_test_set_has_found(study, monkeypatch):
    """Rules of the test set are held against judge images, and rates of the test set are not told then."""
    own = study.study
    rules = study.evaluation["causes"]
    rules["region"] = np.array(["[]", '[{"parameter": "light", "high": 0.2}]'], object)
    light = np.where(np.arange(60) < 20, 0.1, 0.5)
    correct = np.arange(60) >= 15
    parameters = {"light": light}
    own._splits["judge"] = SimpleNamespace(
        path=[""] * 60,
        label=np.where(np.arange(60) == 19, -1, 0),
        prediction=np.zeros(60, int),
        correct=correct,
        parameters=parameters,
        attributes={},
        counted=np.ones(60, bool),
    )
    own._splits["improvement"].parameters["light"] = np.where(np.arange(60) < 6, 0.1, np.nan)
    own._splits["improvement"].parameters["light"][30:] = 0.9
    there = ("evaluation", "clusters", "splits/test", "splits/judge", "splits/improvement")
    monkeypatch.setattr(type(own), "has", lambda self, what: what in there)
    ruled, other = cause_facts(study)
    assert (ruled.rate.failures, ruled.rate.images) == (15, 19)  # one of twenty has no label
    assert (ruled.rate.failures_outside, ruled.rate.images_outside) == (0, 40)
    assert ruled.rate.confirmed
    assert ruled.counted == "judge images, which chose nothing"
    assert ruled.exposure == {"improvement": 6 / 36}  # of the images whose light is known
    assert other.rate is None
    own._splits["judge"].correct = ~correct
    assert cause_facts(study)[0].unconfirmed
    assert causes_table(study)["counted_on"].tolist() == ["judge", ""]
