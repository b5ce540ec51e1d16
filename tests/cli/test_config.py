"""``hudd init`` and ``hudd run --config``."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_init_writes_once(hudd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = hudd("init")
    assert (code, err) == (0, "")
    assert "hudd run STUDY --config hudd.toml" in out
    Path("hudd.toml").write_text("mine")
    code, _, err = hudd("init")
    assert (code, Path("hudd.toml").read_text()) == (2, "mine")
    assert "'hudd.toml' exists; give --overwrite" in err
    assert hudd("init", "--overwrite")[0] == 0
    assert "model = " in Path("hudd.toml").read_text()


def test_init_refuses_what_it_cannot_write(hudd, tmp_path: Path) -> None:
    for place, part in ((tmp_path, "is a folder"), (tmp_path / "none" / "x.toml", "does not exist")):
        code, _, err = hudd("init", place)
        assert code == 2
        assert part in err


def test_run_refuses_a_wrong_file_before_anything(hudd, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("sede = 3")
    code, _, err = hudd("run", tmp_path / "study", "--config", tmp_path / "s.toml")
    assert code == 2
    assert "has sede, which is no setting; did you mean seed?" in err
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_run_reads_its_file_and_options_come_first(hudd, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("seed = 5\nworkers = 1\nepochs = 1")
    code, _, err = hudd("run", tiny, "--config", tmp_path / "s.toml", "--seed", "7", "--progress", "json")
    assert code == 0, err
    assert '{"event": "step", "step": "cluster"' in err
    from hudd.study import Results

    settings = Results(tiny).settings
    assert (settings.seed, settings.workers, settings.training["epochs"]) == (7, 1, 1)
