"""The scripts of benchmarks/ that ``hudd bench`` runs, at tiny sizes: they end well and record what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def run(script, out, *options):
    command = [sys.executable, FOLDER / script, "--quick", "--repeats", "1", "--out", out, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert {"date", "versions", "repeats"} <= set(record)
    return record, done.stdout


def test_distances(tmp_path):
    options = ("--rows", "64", "--features", "300", "--stored", "200x300", "--budget", "16")
    record, printed = run("distances.py", tmp_path / "distances.json", *options)
    speed = record["speed"]["figures"]
    assert speed["largest_relative_error"]["hudd"] < 1e-5
    assert {"hudd", "ssyrk", "torch.cdist", "scikit-learn", "SciPy pdist"} <= set(speed["seconds"])
    assert record["out-of-core"]["figures"]["largest_relative_difference"] < 1e-5
    assert "Near-duplicates" in printed


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_clustering(tmp_path):
    record, _ = run("clustering.py", tmp_path / "clustering.json", "--rows", "600", "--large", "500")
    runs = record["ward"]["figures"]["runs"]
    assert runs["hudd"]["largest_relative_error"] < 1e-5
    assert runs["hudd"]["merges_as_scipy"] == 1
    assert record["large"]["figures"]["peak_rss_gib"] > 0
    assert set(record) >= {"ward", "cuts", "vectors", "large"}


def test_vectors(tmp_path):
    record, _ = run("vectors.py", tmp_path / "vectors.json", "--scale", "0.02", "--part", "narrow")
    runs = record["narrow"]["figures"]["runs"]
    assert all(found["largest_relative_difference"] < 1e-4 for found in runs.values())
    assert {"hudd", "hudd, distances and matrix"} <= set(runs)


def test_vectors_by_processes(tmp_path):
    record, _ = run("vectors.py", tmp_path / "vectors.json", "--scale", "0.1", "--part", "processes")
    found = record["processes"]["figures"]
    assert found["same_bits"]
    assert set(found["runs"]) == {"1", "2"}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_scale(tmp_path):
    out = tmp_path / "scale.json"
    record, _ = run("scale.py", out, "--largest", "1000", "--features", "4", "--tested", "500")
    runs = record["linkage"]["figures"]["runs"]
    assert [len(runs[name]) for name in ("hudd, rows", "hudd, matrix")] == [1, 1]
    assert out.with_suffix(".svg").read_text().startswith("<?xml")
    found = record["study"]["figures"]
    assert found["errors"] > 400
    assert {"cluster", "evaluate", "select", "report", "export"} <= set(found["steps"])
    assert all(step["peak_mib"] > 0 for step in found["steps"].values())
