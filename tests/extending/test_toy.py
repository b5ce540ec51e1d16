"""A package of its own, installed next to hudd, adds a part of every kind; hudd is not changed for it."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

TOY = Path(__file__).parent / "toy"
GROUPS = ("rules", "features", "clusterers", "strategies", "exporters", "cases", "attributes", "tasks")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that pip has installed the package into."""
    root = tmp_path_factory.mktemp("toy")
    source = root / "source"
    for file in (TOY / "pyproject.toml", *TOY.glob("hudd_toy/*.py")):
        (source / file.relative_to(TOY)).parent.mkdir(parents=True, exist_ok=True)
        (source / file.relative_to(TOY)).write_bytes(file.read_bytes())
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(root / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return root / "site"


@pytest.fixture(scope="module")
def hudd(site):
    """Run a command in a process that finds the package."""

    def call(*arguments, code=0):
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "hudd", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


@pytest.fixture(scope="module")
def bars(hudd, tmp_path_factory):
    """The study of the package's case."""
    directory = tmp_path_factory.mktemp("bars") / "bars"
    assert "bars at three places" in hudd("demo", "--case", "bars", "--out", directory)
    return directory


def test_every_group_is_registered(site):
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert {entry.group for entry in found.entry_points} == {f"hudd.{group}" for group in GROUPS}


@pytest.mark.slow
def test_features_clusterer_and_strategy_go_by_name(hudd, bars):
    chosen = ("--features", "brightness", "--clusterer", "bisecting", "--strategy", "far-apart")
    told = hudd("run", bars, *chosen, "--compare", "far-apart,random", "--runs", 1)
    assert "brightness of" in told
    assert "far-apart" in told
    shown = json.loads(hudd("show", bars, "--json"))
    assert "brightness" in json.dumps(shown)
    assert hudd("run", bars).count("up to date") >= 6


@pytest.mark.slow
def test_attributes_go_by_name(hudd, bars):
    hudd("test", bars, "--attributes", "corner")
    with h5py.File(bars / "study.h5") as h5:
        corner = h5["splits/test/attributes/corner"][...]
    pixels = np.load(Path(json.loads(hudd("show", bars, "--provenance", "--json"))["settings"]["test"]))[
        "images"
    ]
    np.testing.assert_allclose(corner, pixels[:, 0, 0] / 255, atol=1e-6)
    hudd("run", bars)


@pytest.mark.slow
def test_a_task_goes_by_name_and_the_study_says_so(hudd, bars):
    before = json.loads(hudd("show", bars, "--json"))
    told = hudd("run", bars, "--task", "sure", "--preset", "moments")
    assert "sure" in hudd("show", bars)
    after = json.loads(hudd("show", bars, "--json"))
    assert (before["task"], after["task"]) == ("classification", "sure")
    assert after["classes"]["outputs"][-1]["class"] == "unsure", told
    hudd("run", bars, "--task", "classification")
    assert json.loads(hudd("show", bars, "--json"))["test"] == before["test"]


@pytest.mark.slow
def test_the_export_format_goes_by_name(hudd, bars, tmp_path):
    hudd("export", bars, "--to", "csv,list", "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "list" / "errors.tsv").read_text().splitlines()
    assert len(lines) == len((tmp_path / "out" / "errors.csv").read_text().splitlines()) - 1
    assert all(line.split("\t")[0].isdigit() for line in lines)


@pytest.mark.slow
def test_a_rule_and_a_changed_version_of_it(hudd, bars, site):
    run = ("run", bars, "--preset", "hudd", "--features", "relevance", "--clusterer", "ward")
    assert "layer" in hudd(*run, "--rules", "magnitude(0.5)")
    again = hudd("run", bars)
    assert "heatmaps" in again
    assert again.count("up to date") >= 6
    source = site / "hudd_toy" / "rules.py"
    source.write_text(source.read_text() + "\n# fixed\n")
    changed = hudd("heatmaps", bars)
    assert "up to date" not in next(line for line in changed.splitlines() if "heatmaps" in line)


@pytest.mark.slow
def test_names_that_are_not_there_list_the_package_s(hudd, bars):
    told = hudd("run", bars, "--clusterer", "trisecting", code=2)
    assert "choose one of: ward, average, kmeans, dbscan, hdbscan, bisecting" in told


@pytest.mark.slow
def test_a_broken_package_is_named(hudd, bars, site):
    (site / "hudd_toy" / "clusterers.py").write_text("import not_there\n")
    told = hudd("run", bars, "--clusterer", "bisecting", code=2)
    assert "clusterer 'bisecting' of the package hudd-toy 0.3 cannot be imported: ModuleNotFoundError" in told
    assert told.strip().count("\n") == 0
