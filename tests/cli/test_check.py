"""``hudd check``: pass and fail by exit code, in 60 columns, as JSON and as JUnit."""

import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from hudd.cli import printing
from hudd.report import write_report
from hudd.study import Study

pytestmark = pytest.mark.slow

CRITERIA = """
severity: [{level: grave, where: {class: ant}}]
criteria:
  - {name: all images, at_most: %s}
  - {where: {class: bee, width: {below: 3}}, at_most: 0.98}
  - {name: grave ones, severity: grave, at_most: 0.99}
"""


@pytest.fixture
def criteria(tmp_path):
    def write(at_most):
        (tmp_path / "criteria.yaml").write_text(CRITERIA % at_most)
        return tmp_path / "criteria.yaml"

    return write


def cases(path):
    suite = ElementTree.parse(path).getroot()
    failed = {case.get("name"): case.find("failure") for case in suite}
    return suite.attrib, {
        name: None if found is None else found.get("message") for name, found in failed.items()
    }


def test_a_study_that_passes(hudd, tiny, criteria, tmp_path):
    code, out, _ = hudd("check", tiny, "--criteria", criteria(0.98), "--junit", tmp_path / "x.xml")
    assert code == 0
    assert "3 of 3 criteria passed; bounds are one-sided Clopper-Pearson" in out
    figures, found = cases(tmp_path / "x.xml")
    assert figures == {"name": "hudd check", "tests": "4", "failures": "0"}
    names = ["open", "all images", "P(fail | class is bee and width < 3) <= 0.98 at 95 %", "grave ones"]
    assert found == dict.fromkeys(names)


def test_a_study_that_fails(hudd, tiny, criteria, tmp_path):
    errors = len(Study.open(tiny).errors)
    code, out, _ = hudd("check", tiny, "--criteria", criteria(0.001), "--json", "--junit", tmp_path / "x.xml")
    assert code == 1
    record = json.loads(out)
    assert (record["passed"], record["on"]) == (False, "test")
    assert "these images chose the clusters" in record["about"]
    assert sum(record["severities"].values()) == errors
    first = record["verdicts"][0]
    reason = "not shown: 40 images, needs at least 2,995"
    assert (first["images"], first["failures"], first["passed"], first["reason"]) == (
        40,
        errors,
        False,
        reason,
    )
    figures, found = cases(tmp_path / "x.xml")
    assert figures["failures"] == "1"
    assert found["all images"] == reason


def test_it_fits_sixty_columns(hudd, tiny, criteria, monkeypatch):
    monkeypatch.setattr(printing, "console", Console(highlight=False, width=60))
    code, out, _ = hudd("check", tiny, "--criteria", criteria(0.001))
    assert code == 1
    table = [line for line in out.splitlines() if line[:1] in "┏┃┡│└"]
    assert max(map(len, table)) <= 60
    assert any("pass" in line for line in table)
    assert any("fail" in line for line in table)


def test_a_wrong_call_is_neither(hudd, tiny, criteria, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("criteria: [{where: {hieght: 3}, at_most: 0.1}]")
    code, _, err = hudd("check", tiny, "--criteria", wrong, "--junit", tmp_path / "x.xml")
    assert code == 2
    assert "asks about 'hieght', which the test set does not have" in err
    assert "asks about 'hieght'" in cases(tmp_path / "x.xml")[1]["open"]
    assert hudd("check", tiny)[0] == 2


def test_severity_of_errors_is_told_by_cause(hudd, tiny, criteria, tmp_path):
    levels = criteria(0.5)
    assert hudd("evaluate", tiny, "--severity", levels)[0] == 0
    study = Study.open(tiny)
    ants = int((study.split("test").label[study.errors] == 0).sum())
    assert ants
    code, out, _ = hudd("show", tiny, "--json")
    found = json.loads(out)
    assert (code, found["severity"]["grave"]) == (0, ants)
    assert sum("grave" in cause["severity"] for cause in found["causes"])
    assert "severity: grave" in write_report(study, tmp_path / "page.html").read_text("utf-8")
    levels.unlink()
    code, out, _ = hudd("show", tiny)
    assert code == 0
    assert "severity is not told: there is no file" in out
