"""Every row of docs/bad-inputs.md: the command says that sentence, with that exit code, and leaves no study behind."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CASES = runpy.run_path(str(HERE / "cases"))["CASES"]
TABLE = runpy.run_path(str(HERE / "table.py"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad").resolve()
    TABLE["sound_files"](folder)
    return folder


@pytest.fixture(scope="module")
def rows():
    lines = TABLE["PAGE"].read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "| `hudd " in line]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.what for case in CASES])
def test_the_table_says_what_is_told(root, rows, number):
    case = CASES[number]
    code, text = TABLE["told"](case, root)
    assert code == case.code
    assert text.startswith("hudd: ")
    assert text.endswith(".\n")
    assert text.strip().isprintable()
    assert TABLE["row"](case, text) == rows[number], "python tests/bad_inputs/table.py writes the page again"


def test_the_table_has_no_other_rows(rows):
    assert len(rows) == len(CASES) > 60
