"""``hudd run --junit``: a test case for each step, written however the run ends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from hudd.cli.junit import cases_for
from hudd.errors import HuddError, UsageError


def _read(path: Path) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return the suite's figures, and each case with what it failed by."""
    suite = ElementTree.parse(path).getroot()
    failures = {case.get("name", ""): case.find("failure") for case in suite.findall("testcase")}
    assert all(float(case.get("time", "nan")) >= 0 for case in suite.findall("testcase"))
    return dict(suite.attrib), {
        name: None if found is None else found.get("message") for name, found in failures.items()
    }


def test_steps_and_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "hudd.xml"

    def run() -> None:
        with cases_for(path) as cases:
            with cases.case("test"):
                pass
            with cases.case("heatmaps"):
                raise HuddError("no <room>\x1b left & nothing more")

    with pytest.raises(HuddError):
        run()
    figures, found = _read(path)
    assert figures == {"name": "hudd run", "tests": "2", "failures": "1"}
    assert found == {"test": None, "heatmaps": "no <room>\\x1b left & nothing more"}


def test_an_interrupted_step_has_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), cases_for(tmp_path / "x.xml") as cases, cases.case("test"):
        raise KeyboardInterrupt
    assert _read(tmp_path / "x.xml")[1] == {"test": "KeyboardInterrupt"}


def test_a_file_that_cannot_stand_is_refused_before_the_run(tmp_path: Path) -> None:
    for path, part in ((tmp_path, "is a folder"), (tmp_path / "none" / "x.xml", "does not exist")):
        with pytest.raises(UsageError, match=part), cases_for(path):
            pytest.fail("the run has begun")


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with cases_for(None) as cases, cases.case("test"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_refused_says_so(hudd, tmp_path: Path) -> None:
    code, _, _ = hudd("run", tmp_path / "study", "--junit", tmp_path / "x.xml")
    assert code == 2
    figures, found = _read(tmp_path / "x.xml")
    assert figures["failures"] == "1"
    assert "--model is needed" in (found["open"] or "")
