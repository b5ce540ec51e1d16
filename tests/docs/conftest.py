"""Walks through the pages of the documentation: every code block is run, in order, in a folder of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.S | re.M)
_EXECUTABLE = ("sh", "python")


def blocks(page: Path) -> Iterator[tuple[str, str, str, int]]:
    """Yield language, title, text and line of every code block."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        title = re.search(r'title="([^"]+)"', match["info"])
        yield (
            match["language"],
            title[1] if title else "",
            match["body"],
            text.count("\n", 0, match.start()) + 1,
        )


def is_walked(page: Path) -> bool:
    """Say whether a page has anything to run."""
    return any(language in _EXECUTABLE for language, *_ in blocks(page))


class Walk:
    """Runs pages once each; a page that continues another starts from a copy of what that one left."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.done = folder, {}

    def __call__(self, page: Path) -> Path:
        """Run a page and return the folder that it leaves.

        Raises
        ------
        AssertionError
            Naming the block that failed, with what it printed.
        """
        if page not in self.done:
            place = self.folder / page.stem
            earlier = re.search(r"<!-- continues: (\S+) -->", page.read_text(encoding="utf-8"))
            if earlier:
                shutil.copytree(self(ROOT / "docs" / earlier[1]), place)
            else:
                place.mkdir()
            self.done[page] = None
            with contextlib.chdir(place):
                self._run(page)
            self.done[page] = place
        assert self.done[page] is not None, f"{page.name} failed before"
        return self.done[page]

    def _run(self, page: Path) -> None:
        names: dict[str, object] = {"__name__": "__main__"}
        sys.path.insert(0, str(Path.cwd()))
        loaded = set(sys.modules)
        try:
            for language, title, body, line in blocks(page):
                where = f"{page.relative_to(ROOT)}, block at line {line}"
                if title:
                    Path(title).write_text(body, encoding="utf-8")
                elif language == "sh":
                    _shell(body, where)
                elif language == "python":
                    _python(body, where, names)
        finally:
            sys.path.pop(0)
            for module in set(sys.modules) - loaded:
                if str(getattr(sys.modules[module], "__file__", "")).startswith(str(self.folder)):
                    del sys.modules[module]


def _shell(body: str, where: str) -> None:
    scripts = Path(sys.executable).parent  # not resolved: that of the environment
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "OMP_NUM_THREADS": "1"}  # tiny networks
    command = ["bash", "-euo", "pipefail", "-c", body]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}"


def _python(body: str, where: str, names: dict[str, object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(body, where, "exec"), names)
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Path]]:
    """``walk(page)`` runs a page, once in a session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")
        yield Walk(tmp_path_factory.mktemp("docs"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``page`` every page that has something to run."""
    if "page" in metafunc.fixturenames:
        pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        walked = [page for page in pages if is_walked(page)]
        metafunc.parametrize("page", walked, ids=[str(page.relative_to(ROOT)) for page in walked])
