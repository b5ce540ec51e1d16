"""Which causes come first, and what is said of those without a rule."""

import io
from dataclasses import replace

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
        "images": np.array([100, 12345]),
        "failures": np.array([100, 678]),
    }
    monkeypatch.setattr(type(study), "evaluation", property(lambda self: {"causes": rules}))
    monkeypatch.setattr(
        type(study), "has", lambda self, what: what in ("evaluation", "clusters", "splits/test")
    )
    return view(study)


def test_what_a_rule_tells_apart_has_something_in_common(study):
    found = cause_facts(study)
    assert [(one.number, one.common) for one in found] == [(2, True), (1, False)]
    assert found[0].name.endswith("dark images: light < 0.2")


def test_no_rule_has_no_counts(study, monkeypatch):
    frame = causes_table(study)
    assert frame["fits"].tolist() == [12345, pd.NA]
    output = io.StringIO()
    monkeypatch.setattr(printing, "console", Console(file=output, width=200))
    printing.print_table("Causes", frame[["cause", "fits", "failures"]])
    rows = [line.split() for line in output.getvalue().splitlines() if line.startswith("│")]
    assert rows == [["│", "2", "│", "12345", "│", "678", "│"], ["│", "1", "│", "│", "│"]]
