"""The site builds without a warning, asks nothing of the network, and its figures are those on record."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
_FETCHED = re.compile(r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="(?P<url>(?:https?:)?//[^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("material") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_need_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    fetched = {
        match["url"] for page in pages for match in _FETCHED.finditer(page.read_text(encoding="utf-8"))
    }
    assert fetched == set()


def test_no_role_is_left_raw(site: Path) -> None:
    role = re.compile(r":(?:func|class|meth|mod|data|attr|exc|obj):")
    assert [page.name for page in site.rglob("*.html") if role.search(page.read_text(encoding="utf-8"))] == []


def test_cross_references_lead_to_the_reference(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert re.search(r'<a class="autorefs autorefs-internal"[^>]* href="#hudd.lrp.LRP"', text)


@pytest.mark.parametrize("name", ["clustering.linkage", "clustering.cluster", "lrp.recommended"])
def test_functions_are_documented_not_their_modules(site: Path, name: str) -> None:
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    last = name.rpartition(".")[2]
    assert f'id="hudd.{name}.{last}"' in text
    assert f'<h2 id="hudd.{name}"' not in text


def test_search_works_from_a_folder(site: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    options += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom"]
    page = f"{(site / 'index.html').as_uri()}?q=z-plus"
    done = subprocess.run([chromium, *options, page], capture_output=True, text=True)
    assert re.search(r'md-search-result__meta"[^>]*>\s*[1-9]\d* matching document', done.stdout)


@pytest.mark.timing
def test_the_home_page_is_accessible(
    site: Path, browser: Any, examine: Callable[[], dict[str, list[str]]]
) -> None:
    for dark in (False, True):
        browser.window(1280, 900, dark=dark)
        browser.fresh((site / "index.html").as_uri())
        assert examine() == {}


def test_formulas_are_mathml(site: Path) -> None:
    text = (site / "method.html").read_text(encoding="utf-8")
    assert "<math" in text
    assert "arithmatex" not in text


def test_every_command_and_public_name_is_in_the_reference(site: Path) -> None:
    import hudd
    from hudd.cli.commands import COMMANDS

    commands = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert all(f"hudd {name}" in commands for name in COMMANDS)
    names = (site / "reference" / "python.html").read_text(encoding="utf-8")
    missing = [name for name in hudd.__all__ if not re.search(rf'id="hudd\.[\w.]*\b{name}"', names)]
    assert missing == ["__version__"]


def test_performance_page_is_that_of_the_records() -> None:
    spec = importlib.util.spec_from_file_location("figures", ROOT / "benchmarks" / "figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    assert figures.PAGE.read_text(encoding="utf-8") == figures.page(), "run: python benchmarks/figures.py"
