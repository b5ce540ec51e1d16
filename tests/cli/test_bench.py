"""``hudd bench`` with scripts of its own: the real ones are tried in tests/test_benchmarks.py."""

import json

import pytest

import hudd.cli.bench

SCRIPT = """
import argparse, json, pathlib
options = argparse.ArgumentParser()
options.add_argument("--quick", action="store_true")
options.add_argument("--out", type=pathlib.Path)
chosen = options.parse_args()
print("measured")
chosen.out.write_text(json.dumps({"quick": chosen.quick}))
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    (tmp_path / "good.py").write_text(SCRIPT)
    (tmp_path / "bad.py").write_text("raise SystemExit('no such peer')")
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "__main__.py").write_text(SCRIPT)
    monkeypatch.setattr(hudd.cli.bench, "SCRIPTS", {"good": "good.py", "bad": "bad.py", "many": "many"})
    monkeypatch.setattr(hudd.cli.bench, "_folders", lambda: [tmp_path / "installed", tmp_path])


@pytest.mark.parametrize(("options", "quick"), [([], True), (["--full"], False)])
def test_figures_are_printed_and_written(scripts, hudd, tmp_path, options, quick):
    out = tmp_path / "figures.json"
    code, printed, _ = hudd("bench", "good", "many", *options, "--json", out)
    assert code == 0
    assert printed.count("measured") == 2
    assert json.loads(out.read_text()) == {"good": {"quick": quick}, "many": {"quick": quick}}


def test_what_fails_is_named(scripts, hudd, tmp_path):
    code, _, err = hudd("bench", "bad", "--json", tmp_path / "figures.json")
    assert code == 1
    assert "no such peer" in err
    assert "benchmark 'bad' failed" in err
    assert not (tmp_path / "figures.json").exists()


def test_wrong_calls_are_refused_before_any_work(scripts, hudd, tmp_path):
    assert hudd("bench", "good", "nothing")[0] == 2
    (tmp_path / "there.json").write_text("mine")
    code, out, err = hudd("bench", "good", "--json", tmp_path / "there.json")
    assert (code, out) == (2, "")
    assert "exists already" in err
    code, out, err = hudd("bench", "good", "--json", tmp_path / "nowhere" / "figures.json")
    assert (code, out) == (2, "")
    assert "there is no folder" in err
    (tmp_path / "good.py").unlink()
    assert "is not part of this installation" in hudd("bench", "good")[2]
