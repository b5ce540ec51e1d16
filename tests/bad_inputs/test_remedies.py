"""Every row of docs/bad-inputs.md: what its message advises is done, and the call succeeds."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CASES = runpy.run_path(str(HERE / "cases"))["CASES"]
TABLE = runpy.run_path(str(HERE / "table.py"))
REMEDIES = runpy.run_path(str(HERE / "remedies"))["REMEDIES"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remedies").resolve()
    TABLE["sound_files"](folder)
    return folder


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.what for case in CASES])
def test_what_is_advised_helps(root, number):
    code, text = TABLE["followed"](CASES[number], REMEDIES[CASES[number].what], root)
    assert code == 0, text


def test_every_row_has_a_remedy():
    assert list(REMEDIES.keys() - {case.what for case in CASES}) == []
    assert len(REMEDIES) == len(CASES)
