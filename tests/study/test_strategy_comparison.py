"""A study compares strategies at equal budgets, loses an epoch at most when it is cut off, and writes statistics."""

import csv
import json
import shutil

import numpy as np
import pytest

from hudd.errors import HuddError
from hudd.retraining import fit, retrain
from hudd.retraining.checkpoint import save_checkpoint
from hudd.selection import balance, bootstrap
from hudd.study import Study
from hudd.study.labels import export_labels
from hudd.study.steps import doubt
from hudd.study.steps.retrain import bag, rows_to_label
from hudd.study.strategy_comparison import strategy_comparison, write_comparison

pytestmark = pytest.mark.slow

CHOICES = {"modes": ("hudd", "hybrid", "random", "bl1"), "runs": 2}


def test_a_comparison_cut_off_loses_an_epoch_at_most(finished, tmp_path, monkeypatch):
    other = Study.open(shutil.copytree(finished.path, tmp_path / "cut"))
    whole = strategy_comparison(finished.configure(**CHOICES).retrain())
    saved = []

    def dying(path, identity, state):
        save_checkpoint(path, identity, state)
        saved.append(len(state["history"]))
        if len(saved) == 6:
            raise KeyboardInterrupt

    monkeypatch.setitem(fit.__globals__, "save_checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        other.configure(**CHOICES).retrain()
    # hudd's first run was there; of two epochs a run, the first of the fourth run was the last to be kept
    before = list(saved)
    resumed = strategy_comparison(Study.open(other.path).retrain())
    assert resumed == whole
    assert len(saved) == 7 * 2
    assert before + saved[6:] == [1, 2] * 7


def test_budgets_and_bags_are_equal(finished):
    finished.configure(**CHOICES)
    sizes = {
        mode: [bag(finished.inputs, finished.journal, mode, seed) for seed in range(2)]
        for mode in CHOICES["modes"]
    }
    budget = len(finished.selection)
    assert {len(rows) for found in sizes.values() for _, rows in found} == {len(sizes["hudd"][0][1])}
    for mode in ("hudd", "hybrid", "random"):
        assert [len(np.unique(labelled)) for labelled, _ in sizes[mode]] == [budget, budget]
    assert all(len(labelled) <= budget for labelled, _ in sizes["bl1"])
    np.testing.assert_array_equal(sizes["hudd"][0][0], finished.selection.image)


def test_files(finished):
    finished.configure(**CHOICES).retrain()
    files = write_comparison(finished)
    content = json.loads(files["json"].read_text())
    assert content["reference"] == "random"
    assert [row["strategy"] for row in content["summary"]] == list(CHOICES["modes"])
    assert {"p_value", "a12", "u"} <= content["summary"][0].keys()
    with files["csv"].open() as stream:
        assert len(list(csv.DictReader(stream))) == 8
    assert files["plot"].stat().st_size > 1000
    assert sorted(path.name for path in (finished.path / "models").iterdir()) == sorted(
        f"{mode}-0.safetensors" for mode in CHOICES["modes"]
    )


def test_all_that_is_compared_is_written_out_for_labelling(finished, tmp_path):
    finished.configure(**CHOICES)
    rows = rows_to_label(finished.inputs, finished.journal)
    assert rows[: len(finished.selection)].tolist() == finished.selection.image.tolist()
    written = export_labels(finished, tmp_path / "todo.csv", for_comparison=True)
    assert written == len(rows) == len(set(rows.tolist()))
    assert export_labels(finished, tmp_path / "selected.csv") == len(finished.selection) < written


def test_the_hybrid_selects_within_the_budgets(finished):
    plain = finished.selection
    hybrid = finished.configure(strategy="hybrid").select().selection
    assert len(hybrid) == len(plain)
    assert set(hybrid.image.tolist()) != set(plain.image.tolist())
    counts = [np.bincount(found.cluster, minlength=99) for found in (plain, hybrid)]
    np.testing.assert_array_equal(*counts)
    assert list(finished.retrain().retraining) == ["hybrid"]


def test_nothing_to_compare_says_so(material, tmp_path):
    with pytest.raises(HuddError, match="no retraining yet"):
        strategy_comparison(Study.create(tmp_path / "new", **material))


def test_a_selection_of_rows_fills_its_bag_by_bootstrap(finished):
    finished.configure(strategy="random", budget=9).select()
    own = finished.selection.image
    labelled, rows = bag(finished.inputs, finished.journal, "random", 4)
    balanced = finished.configure(strategy="hudd").select().selection
    np.testing.assert_array_equal(labelled, own)
    correct = finished.split("improvement").correct[own]
    np.testing.assert_array_equal(rows, bootstrap(own, len(rows), seed=4, correct=correct))
    assert set(rows.tolist()) == set(own.tolist())
    assert len(rows) == len(balance(balanced, seed=4))


def test_trusted_images_join_with_the_predicted_class(finished, monkeypatch):
    given = {}

    def recorded(model, train, improvement, bag, config, **options):
        given.update(bag=bag, labels=options["improvement_labels"])
        return retrain(model, train, improvement, bag, config, **options)

    monkeypatch.setattr("hudd.study.steps.retrain.retrain", recorded)
    finished.configure(trusted=0.0).retrain()
    (before,) = finished.retraining["hudd"]
    finished.configure(trusted=0.5).retrain()
    (run,) = finished.retraining["hudd"]
    rows, failure = given["bag"][len(run["bag"]) :], doubt.failure(finished.inputs, finished.journal)
    np.testing.assert_array_equal(given["bag"][: len(run["bag"])], run["bag"])
    np.testing.assert_array_equal(given["labels"][rows], finished.split("improvement").prediction[rows])
    assert (before["trusted"], run["trusted"]) == (0, len(rows))
    assert not np.isin(rows, finished.selection.image).any()
    assert 0 < len(rows) <= len(finished.source("train"))
    assert failure[rows].max() <= 0.5
    assert finished.table("retraining")["trusted"].tolist() == [run["trusted"]]
