"""The commands as a user types them, on the digits case."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hudd.cli import printing
from hudd.cli.printing import print_json
from hudd.summary import records

pytestmark = pytest.mark.slow


def test_the_demo_leaves_a_finished_study(demo):
    assert {"study.h5", "shards", "report", "models", "log.jsonl"} <= {path.name for path in demo.iterdir()}
    assert not list(demo.glob(".aside*"))


def test_a_second_demo_starts_from_the_finished_study(demo, hudd):
    before = (demo / "study.h5").read_bytes()
    code, out, _ = hudd("demo", "--case", "digits", "--out", demo)
    assert code == 0
    assert "is finished" in out
    assert out.count("up to date") == 8
    assert (demo / "study.h5").read_bytes() == before
    for name in ("test errors", "root-cause clusters", "clustered by", "purity", "unsafe images", "accuracy"):
        assert name in out
    assert "report/index.html" in out


def test_show(demo, hudd):
    code, out, _ = hudd("show", demo)
    assert code == 0
    assert "root-cause clusters" in out
    code, out, _ = hudd("show", demo, "--json")
    summary = json.loads(out)
    assert summary["test"]["images"] == 600
    assert sum(cluster["size"] for cluster in summary["clusters"]) == summary["test"]["errors"]
    assert summary["chosen_layer"] in [layer["layer"] for layer in summary["layers"]]


def test_show_provenance(demo, hudd):
    assert hudd("show", demo, "--provenance")[0] == 0
    found = json.loads(hudd("show", demo, "--provenance", "--json")[1])
    assert found["format"] == "hudd-study"
    assert {"test/test", "heatmaps", "choice", "select", "retrain/by-cause/0"} <= set(found["steps"])
    assert all(step["seconds"] >= 0 for step in found["steps"].values())


@pytest.mark.parametrize("step", ["heatmaps", "distances", "cluster", "select", "retrain", "evaluate"])
def test_every_step_is_up_to_date(demo, hudd, step):
    code, out, err = hudd(step, demo)
    assert (code, err) == (0, "")
    assert "up to date" in out


@pytest.mark.parametrize("step", ["test", "cluster", "select", "retrain", "evaluate", "label"])
def test_reading_commands_print_json_alone(demo, hudd, step):
    code, out, err = hudd(step, demo, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_labels_go_out_and_come_back(demo, hudd, tmp_path):
    code, out, _ = hudd("label", demo, "--export", tmp_path / "todo.csv")
    assert code == 0
    with (tmp_path / "todo.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} of {len(rows)} selected images have a label" in out
    assert "0 new labels" in hudd("label", demo, "--import", tmp_path / "todo.csv")[1]
    code, _, err = hudd("label", demo, "--import", tmp_path / "none.csv")
    assert (code, err.count("\n")) == (2, 1)


def test_export(demo, hudd, tmp_path):
    code, out, _ = hudd("export", demo, "--out", tmp_path / "out")
    assert code == 0
    with (tmp_path / "out" / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    pictures = list((tmp_path / "out" / "errors").glob("cluster_*/*.png"))
    assert 2 * len(rows) == len(pictures) > 200  # each with its heatmap
    assert str(tmp_path / "out" / "clusters.csv") in out
    assert hudd("export", demo, "--format", "pdf")[0] == 2
    code, out, _ = hudd("export", demo, "--format", "virelay", "--out", tmp_path / "tools")
    assert code == 0
    assert (tmp_path / "tools" / "virelay" / "project.yaml").exists()


def test_report(demo, hudd, tmp_path):
    code, _, _ = hudd("report", demo, "--out", tmp_path / "page.html")
    assert code == 0
    assert (tmp_path / "page.html").read_text().lstrip().lower().startswith("<!doctype html>")
    code, _, told = hudd("report", demo, "--out", tmp_path / "other.html", "--language", "xx")
    assert code == 2
    assert "choose one of: en" in told
    assert not (tmp_path / "other.html").exists()


def test_doctor(hudd):
    code, out, _ = hudd("doctor", "--json")
    found = json.loads(out)
    assert code == (0 if found["works"] else 1)
    assert found["built"]["core"] is True
    assert found["versions"]["torch"]
    assert hudd("doctor")[0] == 0


def test_numbers_that_are_none_are_null():
    rows = pd.DataFrame({"a": [1.0, np.nan, np.inf], "b": ["x", None, "z"], "c": [1, 2, 3]})
    assert records(rows) == [
        {"a": 1.0, "b": "x", "c": 1},
        {"a": None, "b": None, "c": 2},
        {"a": None, "b": "z", "c": 3},
    ]
    with pytest.raises(ValueError, match="JSON"):
        print_json({"a": np.nan})


def test_paths_with_brackets_are_printed_whole(demo, hudd, tmp_path):
    out = hudd("export", demo, "--to", "csv", "--out", tmp_path / "a[b]c")[1]
    assert f"{tmp_path}/a[b]c" in out


def test_a_demo_of_a_negative_seed_leaves_nothing(hudd, tmp_path):
    code, _, err = hudd("demo", "--case", "digits", "--seed", "-1", "--out", tmp_path / "new")
    assert (code, err) == (2, "hudd: seed is -1; give a whole number from 0 to 4294967295.\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80])
def test_tables_fit_a_narrow_terminal(hudd, tiny, monkeypatch, columns):
    monkeypatch.setattr(printing, "console", Console(highlight=False, width=columns))
    code, out, _ = hudd("show", tiny)
    assert code == 0
    drawn = [line for line in out.splitlines() if line[:1] in "┏┃┡└│┌"]
    assert drawn
    assert all(len(line) <= columns and line.rstrip()[-1] in "┓┃┩┘│┐" for line in drawn)
