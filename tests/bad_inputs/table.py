"""The table of bad inputs: ``python tests/bad_inputs/table.py`` writes docs/bad-inputs.md again."""

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

INTRODUCTION = (HERE / "introduction.md").read_text(encoding="utf-8")


@contextlib.contextmanager
def prepared(case: Any, root: Path) -> Iterator[Path]:
    """Copy the sound files to a folder of the case's own, corrupt them, and be there while the body runs."""
    place, before = Path(tempfile.mkdtemp(dir=root)), Path.cwd()
    for item in (root / "sound").iterdir():
        copy = shutil.copytree if item.is_dir() else shutil.copyfile
        copy(item, place / item.name)
    os.chdir(place)
    imported = set(sys.modules)
    try:
        case.prepare()
        yield place
    finally:
        os.chdir(before)
        for name in set(sys.modules) - imported:
            if any(Path(part).is_relative_to(place) for part in _places_of(sys.modules[name])):
                del sys.modules[name]  # another case has other code under the same name
        shutil.rmtree(place)


def _places_of(module: Any) -> list[str]:
    """Return the file of a module, or the folders of a package, which may have no file."""
    file = getattr(module, "__file__", None)
    return [*getattr(module, "__path__", ()), *([file] if file else [])]


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


def followed(case: Any, remedy: Any, root: Path) -> tuple[int, str]:
    """Do what the message of a case advises; return the exit code and what stands on standard error."""
    err, code = io.StringIO(), 0
    with prepared(case, root), contextlib.redirect_stdout(io.StringIO()):
        remedy.correct()
        with contextlib.redirect_stderr(err):
            try:
                hudd(remedy.arguments.split())
            except SystemExit as end:
                code = int(end.code or 0)
    return code, err.getvalue()


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
    cases = runpy.run_path(str(HERE / "cases"))["CASES"]
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
