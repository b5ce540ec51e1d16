"""Comparisons are fair, resume at the epoch, and their statistics are the textbook's."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hudd.errors import UsageError
from hudd.retraining import Comparison, Run, TrainingConfig, compare, confidence_interval, contrast, fit
from hudd.retraining.prediction import predict

CONFIG = TrainingConfig(epochs=3, batch_size=32, lr=0.05)


@pytest.fixture(scope="module")
def problem(request):
    make_data = request.getfixturevalue("make_data")
    train, labels = make_data(200, 0)
    return train, labels, make_data(150, 1), make_data(100, 2)


def start(problem, make_model, folder, **options):
    images, labels, improvement, test = problem
    keep = labels < 3
    model = make_model()
    fit(model, images[keep], labels[keep], CONFIG, seed=0)
    missing = np.flatnonzero(improvement[1] == 3)
    strategies = {
        "random": lambda seed: (np.random.default_rng(seed).permutation(150)[:30],) * 2,
        "missing": lambda seed: (missing[:30], np.resize(missing[:30], 60)),
    }
    return compare(
        model, images[keep], improvement[0], test[0], strategies, CONFIG, folder=folder, runs=2,
        train_labels=labels[keep], improvement_labels=improvement[1], test_labels=test[1], **options,
    )  # fmt: skip


@pytest.mark.slow
def test_runs_and_reports(problem, make_model, tmp_path):
    result = start(problem, make_model, tmp_path / "runs")
    assert [(run.strategy, run.seed) for run in result.runs] == [
        ("random", 0), ("random", 1), ("missing", 0), ("missing", 1)
    ]  # fmt: skip
    random, missing = result.summary()
    assert (random["labelled"], random["bag"], missing["labelled"], missing["bag"]) == (30, 30, 30, 60)
    assert random["accuracy_before"] < missing["accuracy_mean"]
    assert "p_value" not in random
    assert missing["a12"] == pytest.approx(
        np.mean([np.mean([(a > b) + 0.5 * (a == b) for b in result.accuracies("random")]) for a in
                 result.accuracies("missing")])
    )  # fmt: skip
    result.write_json(tmp_path / "c.json")
    result.write_csv(tmp_path / "c.csv")
    assert json.loads((tmp_path / "c.json").read_text())["summary"][1] == missing
    with (tmp_path / "c.csv").open() as stream:
        assert [float(row["accuracy_after"]) for row in csv.DictReader(stream)] == [
            run.accuracy_after for run in result.runs
        ]
    result.figure().savefig(tmp_path / "c.png")
    assert not list((tmp_path / "runs").glob("*.pt"))


@pytest.mark.slow
def test_a_killed_comparison_loses_an_epoch_at_most(problem, make_model, tmp_path, monkeypatch):
    whole = start(problem, make_model, tmp_path / "whole")
    saved = []
    from hudd.retraining.checkpoint import save_checkpoint

    def dying(path, identity, state):
        save_checkpoint(path, identity, state)
        saved.append(len(state["history"]))
        if len(saved) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(fit.__globals__, "save_checkpoint", dying)
        with pytest.raises(KeyboardInterrupt):
            start(problem, make_model, tmp_path / "cut")
        assert saved == [1, 2, 3, 1, 2]
        resumed = start(problem, make_model, tmp_path / "cut")
    assert saved[5:] == [3, 1, 2, 3, 1, 2, 3]
    assert resumed == whole
    again = start(problem, make_model, tmp_path / "cut", on_run=lambda run: None)
    assert again == whole


@pytest.mark.slow
def test_other_choices_do_not_take_up_old_runs(problem, make_model, tmp_path):
    first = start(problem, make_model, tmp_path)
    second = start(problem, make_model, tmp_path, seed=1)
    assert second.runs[0] == first.runs[1]
    assert len(list(tmp_path.glob("*.json"))) == 6
    images, labels, improvement, test = problem
    start((images.flip(-1), labels, improvement, test), make_model, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 10


@pytest.mark.slow
def test_recovery_is_of_the_clusters_given(problem, make_model, tmp_path):
    images, labels, improvement, test = problem
    model = make_model()
    errors = int((predict(model, test[0]).prediction != np.asarray(test[1])).sum())
    rows = np.arange(10)
    for first in (1, 5):
        found = compare(
            model, images, improvement[0], test[0], {"random": lambda seed: (rows, rows)}, CONFIG,
            folder=tmp_path, runs=1, train_labels=labels, improvement_labels=improvement[1],
            test_labels=test[1], clusters=first + np.arange(errors) % 2,
        )  # fmt: skip
        assert list(found.runs[0].recovery) == [str(first), str(first + 1)]


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=12), st.lists(st.integers(0, 9), min_size=2, max_size=12)
)
def test_statistics(a, b):
    result = contrast(a, b)
    assert result.a12 == pytest.approx(np.mean([[(x > y) + 0.5 * (x == y) for y in b] for x in a]))
    assert result.p_value == pytest.approx(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)
    low, high = confidence_interval(a)
    if np.ptp(a):
        expected = stats.t.interval(0.95, len(a) - 1, loc=np.mean(a), scale=stats.sem(a))
        assert (low, high) == pytest.approx(expected)


def test_a_contrast_is_a_value():
    found = contrast([1.0, 2], [3.0])
    assert (found.u, found.a12) == (0, 0)
    with pytest.raises(AttributeError, match="cannot assign"):
        found.u = 1.0


def test_one_run_has_no_interval_but_a_mean():
    run = Run("random", 0, 5, 5, 0.5, 0.75, 2, 1, {}, 1)
    (row,) = Comparison((run,), "random").summary()
    assert row["accuracy_ci_low"] == row["accuracy_ci_high"] == 0.75


def test_wrong_calls_are_named(problem, make_model, tmp_path):
    with pytest.raises(UsageError, match="reference 'x' is not among"):
        start(problem, make_model, tmp_path, reference="x")
    with pytest.raises(UsageError, match="at least one run"):
        compare(make_model(), None, None, None, {"random": lambda s: None}, folder=tmp_path, runs=0)
    with pytest.raises(UsageError, match="no runs"):
        confidence_interval([])
    with pytest.raises(UsageError, match="at least one run"):
        contrast([], [1])
