"""Selecting for one cause or by a list, what labels cost, and what a comparison needs of them."""

import json

import numpy as np
import pytest
from rich.console import Console

from hudd.cli import call, printing
from hudd.errors import UsageError
from hudd.retraining import contrast, least_p_value
from hudd.summary.cost import cost_of

pytestmark = pytest.mark.slow


def test_one_cause_gets_all_labels(finished, capsys):
    assert call(["select", str(finished.path), "--cause", "1", "--budget", "6"]) == 0
    assert "6 labels" in " ".join(capsys.readouterr().out.split())
    study = type(finished).open(finished.path)
    assert (study.settings.strategy, study.settings.cause) == ("cause", 1)
    causes, clusters = study.causes, study.clusters
    of_cluster = {cluster: int(causes.of_error[clusters.label == cluster][0]) for cluster in clusters.numbers}
    assert {of_cluster[cluster] for cluster in study.selection.cluster.tolist()} == {1}
    with pytest.raises(UsageError, match="there is no cause 99"):
        study.configure(cause=99).select()
    with pytest.raises(UsageError, match="strategy 'cause' needs cause"):
        study.configure(cause=None)


def test_a_list_is_selected_as_it_is(finished, tmp_path):
    paths = finished.split("improvement").path
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(paths[row] for row in (7, 3, 20)) + "\n")
    assert call(["select", str(finished.path), "--images", str(tmp_path / "list.csv")]) == 0
    study = type(finished).open(finished.path)
    assert study.selection.image.tolist() == [7, 3, 20]
    (tmp_path / "list.csv").write_text(f"path\n{paths[5]}\n")
    assert type(finished).open(finished.path).select().selection.image.tolist() == [5]


def test_what_labels_cost(finished):
    rows = finished.selection.image
    cost = cost_of(finished, np.r_[rows, rows[:2]])
    improvement = finished.split("improvement")
    assert (cost.labels, cost.known) == (len(rows), len(rows))
    assert cost.errors == int((~improvement.correct[rows]).sum())
    assert cost.groups == len(rows)  # noise looks like no other noise
    told = finished.summary()["selection"]
    assert told == {"images": len(rows), "labelled": len(rows), "errors": cost.errors, "groups": cost.groups}


@pytest.mark.parametrize("runs", [1, 2, 5, 10])
def test_the_least_p_is_that_of_all_ahead(runs):
    rng = np.random.default_rng(0)
    values = [contrast(rng.random(runs) + shift, rng.random(runs)).p_value for shift in (0, 0.5, 1, 2)]
    assert least_p_value(runs) <= min(values)
    assert least_p_value(runs) == pytest.approx(values[-1])


def test_a_comparison_says_what_it_needs(finished, tmp_path, capsys):
    assert call(["label", str(finished.path), "--for-comparison", "--export", str(tmp_path / "x.csv")]) == 2
    assert "no strategies are to be compared" in capsys.readouterr().err
    assert (
        call(["retrain", str(finished.path), "--compare", "hudd,random", "--runs", "2", "--epochs", "1"]) == 0
    )
    told = " ".join(capsys.readouterr().out.split())
    assert "Comparing hudd, random by 2 runs each needs labels of" in told
    assert f"the smallest p of 2 against 2 runs is {least_p_value(2):.2g}." in told
    assert (
        call(["label", str(finished.path), "--json", "--for-comparison", "--export", str(tmp_path / "x.csv")])
        == 0
    )
    state = json.loads(capsys.readouterr().out)
    assert state["compared"]["images"] > state["selected"]
    assert len((tmp_path / "x.csv").read_text().splitlines()) == state["compared"]["images"] + 1


def test_a_selection_is_printed_a_line_an_image(finished, capsys, monkeypatch):
    monkeypatch.setattr(printing, "console", Console(highlight=False, width=80))
    assert call(["select", str(finished.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith("│")]
    assert len(rows) == min(10, len(finished.selection))
