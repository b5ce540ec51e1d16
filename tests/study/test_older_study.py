"""A study that an earlier hudd wrote (tests/study/data) opens, reports, exports, and counts as done."""

import json
import zipfile
from pathlib import Path

import pytest

from hudd.errors import HuddError
from hudd.export import FORMATS, export
from hudd.report import write_report
from hudd.store import StudyFile
from hudd.study import STEPS, Study
from hudd.study.study import GRAPH
from hudd.summary import available_tables

ARCHIVE = Path(__file__).parent / "data" / "study-v1.zip"
MADE_IN = "/somewhere"


@pytest.fixture
def older(tmp_path):
    """The study where it was unpacked, whose settings name its data there."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    with StudyFile(tmp_path / "study" / "study.h5").writing() as h5:
        for name in ("settings", "model"):
            h5.attrs[name] = h5.attrs[name].replace(MADE_IN, str(tmp_path))
    return Study.open(tmp_path / "study")


def test_it_opens_and_shows_its_results(older):
    assert len(older.errors) == 76
    assert older.layers == ["0", "2", "4", "6"]
    assert set(older.retraining) == {"hudd"}
    assert all(len(older.table(name)) for name in available_tables(older))
    json.dumps(older.summary(), allow_nan=False)


def test_nothing_of_it_is_computed_again(older):
    before = older.marks()
    older.run()
    assert older.marks() == before


def test_its_fingerprints_are_those_of_now(older):
    steps = older.provenance["steps"]
    marks = [GRAPH[step].fingerprint(older.inputs, older.journal) for step in STEPS]
    assert all(marks)
    marks = {key: mark for found in marks for key, mark in found.items()}
    assert {key: note["fingerprint"] for key, note in steps.items()} == marks


def test_it_reports(older):
    assert len(write_report(older).read_text(encoding="utf-8")) > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_it_exports(older, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    if form == "openodd":  # its causes have no rules to make conditions of
        with pytest.raises(HuddError, match="no cause with a rule"):
            export(older, tmp_path / "out", formats=(form,))
        return
    assert all(path.exists() for path in export(older, tmp_path / "out", formats=(form,)))
