"""The table of bad inputs: ``python tests/bad_inputs/table.py`` writes docs/bad-inputs.md anew."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hudd.cli import main as hudd

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "bad-inputs.md"
MEMORY = 16 << 30  # of the machine that the table speaks of

INTRODUCTION = """# Bad inputs

What hudd says to inputs that it cannot use. Every row is a test (`tests/bad_inputs`), which calls the command and holds
the sentence against this page; `python tests/bad_inputs/table.py` writes the page. "…" stands for the words of another
library. Exit code 2 says that the call was wrong, 1 that the work failed. Nothing is left behind of a study that could
not be made, and one that is there stays as it was.

## What a file can do

* **Reading runs no code.** Data, labels, studies and weights are read as data. Pickled objects are refused, in `.npz`
  always, in weights unless you give `--trust-pickle`: unpickling runs whatever the maker of the file put there.
* **A model is a program.** `--model` and data given as `module:factory` are Python, and a `.pt2` is compiled from such:
  they run with your rights. A study names its model, so `hudd run` and the steps on a study that came from someone else
  run what it names; `hudd show` and `hudd export --format csv` do not.
* **Nothing leads out.** A study's file may name its own `shards/` and nothing else; links, virtual datasets and
  external storage that point elsewhere are refused. So are links out of an image folder. A manifest may name files
  anywhere: that is what it is for.
* **Declared sizes are believed only as far as memory goes.** Archives, manifests, HDF5 datasets and images are
  refused by what they declare, before anything is unpacked.
* **Messages are one printable line**, at most 1,500 characters: control characters of file names are written out,
  passwords in addresses and values called token, password, secret or key are masked. `--debug` adds the traceback.
"""


@contextlib.contextmanager
def prepared(case: Any, root: Path) -> Iterator[Path]:
    """Copy the sound files to a folder of the case's own, spoil them, and be there while the body runs."""
    place, before = Path(tempfile.mkdtemp(dir=root)), Path.cwd()
    for item in (root / "sound").iterdir():
        copy = shutil.copytree if item.is_dir() else shutil.copyfile
        copy(item, place / item.name)
    os.chdir(place)
    try:
        case.prepare()
        yield place
    finally:
        os.chdir(before)
        shutil.rmtree(place)


def told(case: Any, root: Path) -> tuple[int, str]:
    """Run a case; return the exit code and what stands on standard error, without the folder's name."""
    err = io.StringIO()
    with prepared(case, root) as place, patch("hudd.memory.memory_bytes", lambda: MEMORY):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            try:
                hudd(list(case.arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        assert not Path("was-run").exists(), "code of a file was run"
        left = case.arguments[1:2] == ("new",) and code != 1 and Path("new").exists()
        assert not left, f"{case.what}: a study was left behind"
        text = err.getvalue().replace(f"{place.resolve()}/", "").replace(str(root / "sound") + "/", "")
    return code, re.sub(case.foreign, "…", text)


def sound_files(root: Path) -> None:
    """Write the sound files that every case begins with, and a finished study."""
    from hudd.study import Study

    sound = root / "sound"
    sound.mkdir()
    choices = runpy.run_path(str(HERE.parent / "fuzz" / "tiny.py"))["material"](sound)
    Study.create(sound / "study", **choices).run()


def page(rows: Iterable[tuple[Any, str]]) -> str:
    """Write the page for cases and what was told to each."""
    lines, about = [INTRODUCTION], None
    for case, text in rows:
        if case.about != about:
            about = case.about
            lines += [f"\n## {about}\n", "| input | command | exit | message |", "| --- | --- | --- | --- |"]
        lines.append(row(case, text))
    return "\n".join([*lines, ""])


def row(case: Any, text: str) -> str:
    """Write one row."""
    command = " ".join(case.arguments).replace(
        "--model model.py:cnn --weights cnn.safetensors --test test.npz", "..."
    )
    cells = (case.what, f"`hudd {command}`", str(case.code), _plain(text.removeprefix("hudd: ").strip()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    return re.sub(r"([*_`\[\]])", r"\\\1", escape(text, quote=False))


def main() -> int:
    """Write the page."""
    cases = runpy.run_path(str(HERE / "cases.py"))["CASES"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        sound_files(root)
        rows = []
        for case in cases:
            try:
                code, text = told(case, root)
            except Exception as error:
                code, text = -1, repr(error)
            if code != case.code or text.count("\n") != 1:
                print(f"{case.what}: {code}, not {case.code}: {text}")
            rows.append((case, text))
    PAGE.write_text(page(rows), encoding="utf-8")
    print(f"{len(rows)} rows in {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
