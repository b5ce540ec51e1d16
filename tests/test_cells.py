"""Texts in CSV files: never a formula, never a control character, and read back as they were."""

import csv
import io
import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hudd.cells import frame_to_csv, guarded, to_csv, unguarded

HOSTILE = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(1,1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    '=HYPERLINK("http://a.example","click")',
    "=cmd|' /C calc'!A0",
    "'=1",
    "''",
    "'",
    "a\x1b[31mred",
    "a\x00b",
    "a\x9b31m",
    "a\udc80b",
    "a\\nb",
    "=a\\nb\n\\",
    "two\nlines",
]
texts = st.one_of(
    st.text(),
    st.text(st.characters(categories=("Cc", "Cs", "Sm", "Pd", "Po", "Lu"))),
    st.text(st.sampled_from("=+-@'\\\nntru0012\t\r\x1b\udc80a")),
    st.sampled_from(HOSTILE),
)


@given(texts)
@example("'=1")
@example("=\\u0041")
def test_guarding_is_reversed_exactly(text):
    assert unguarded(guarded(text)) == text


@given(texts)
def test_no_cell_is_a_formula_or_holds_a_control_character(text):
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in cell)
    cell.encode()
    if text.isprintable() and not text.startswith(("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")):
        assert cell == text


def cells(content):
    reader = csv.reader(io.StringIO(content.decode(), newline=""))
    return [tuple(map(unguarded, row)) for row in reader]


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), texts, texts)
def test_whole_tables_are_read_back(rows, first, second):
    assert cells(to_csv([first, second], rows)) == [(first, second), *rows]
    columns = pd.Index([first, second], dtype=object)
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    assert cells(frame_to_csv(frame)) == [(first, second), *rows]


def test_numbers_stay_numbers():
    assert [guarded(value) for value in (-1, -0.5, None, True)] == [-1, -0.5, None, True]
    frame = pd.DataFrame({"-x": [-0.5, 2.0], "name": ["-a", None]})
    assert frame_to_csv(frame) == b"'-x,name\n-0.5,'-a\n2.0,\n"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
def test_libreoffice_sees_text(tmp_path):
    """Without the guard the same file holds formulas, so that this can fail."""
    safe, bare = tmp_path / "safe.csv", tmp_path / "bare.csv"
    shown = [text for text in HOSTILE if text.encode("utf-8", "ignore").decode() == text]
    safe.write_bytes(to_csv(["name"], [[text] for text in HOSTILE]))
    with bare.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([[text] for text in shown if text.isprintable()])
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path / 'profile'}"]
    command += [
        "--infilter=CSV:44,34,76",
        "--convert-to",
        "fods",
        "--outdir",
        str(tmp_path),
        str(safe),
        str(bare),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert formulas(tmp_path / "bare.fods")
    assert not formulas(tmp_path / "safe.fods")
    cells = [
        "".join(cell.itertext()) for cell in read(tmp_path / "safe.fods") if cell.tag.endswith("}table-cell")
    ]
    found = [unguarded(cell.strip("\n ")) for cell in cells if cell.strip("\n ")]
    assert found == ["name", *HOSTILE]


def read(path):
    return ElementTree.parse(path).iter()


def formulas(path):
    return [cell for cell in read(path) if any(name.endswith("}formula") for name in cell.attrib)]
