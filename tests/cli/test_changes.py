"""Options of a later call: what they change, what they leave, what they take back."""

import csv

import pytest

from hudd.review.review import Review
from hudd.study import Study

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_transform_options_join_those_given_before(tiny, hudd):
    assert hudd("test", tiny, "--resize", "8", "--gray", "--mean", "0.5")[0] == 0
    assert hudd("test", tiny, "--std", "0.25")[0] == 0
    expected = {"resize": [8, 8], "grayscale": True, "mean": 0.5, "std": 0.25}
    assert Study.open(tiny).settings.transform == expected


def test_a_pooling_is_taken_back(tiny, hudd):
    assert hudd("heatmaps", tiny, "--pool", "channel")[0] == 0
    code, _, err = hudd("run", tiny, "--preset", "moments", "--pool", "none")
    assert (code, err) == (0, "")


def test_a_layer_and_its_pooling_give_way_to_features_that_have_none(tiny, hudd):
    assert hudd("run", tiny, "--pool", "channel", "--layer", "0")[0] == 0
    assert hudd("run", tiny, "--preset", "hudd-2021")[0] == 0
    assert (Study.open(tiny).settings.pool, Study.open(tiny).settings.layer) == ("channel", "0")
    code, _, err = hudd("run", tiny, "--preset", "moments")
    assert (code, err) == (0, "")
    assert (Study.open(tiny).settings.pool, Study.open(tiny).settings.layer) == (None, None)


def test_a_run_compares_as_retrain_does(tiny, hudd):
    code, out, err = hudd("run", tiny, "--compare", "hudd,random")
    assert (code, err) == (0, "")
    assert str(tiny / "comparison") in out
    with (tiny / "comparison" / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 * 10
    assert hudd("run", tiny)[1].count("up to date") == 9


def test_the_report_is_written_anew_after_a_cluster_was_named(tiny, hudd):
    hudd("run", tiny)
    assert "Low sun" not in (tiny / "report" / "index.html").read_text()
    Review(Study.open(tiny)).set(1, name="Low sun")
    hudd("run", tiny)
    assert "Low sun" in (tiny / "report" / "index.html").read_text()
    assert hudd("run", tiny)[1].count("up to date") == 8
