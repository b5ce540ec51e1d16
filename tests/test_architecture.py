"""The house plan of docs/architecture.md, checked on the imports: a floor imports only from floors below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 450  # lines a file

# Ground floor last. Siblings on one floor do not import each other.
FLOORS = [
    {"cli"},
    {"extend"},
    {"server"},
    {"report", "export"},
    {"plot", "review"},
    {"study", "demo", "diagnosis"},
    {"summary"},
    {"retraining", "selection", "evaluation"},
    {"clustering", "features"},
    {"distances"},
    {"lrp"},
    {"capture"},
    {"data"},
    {"store"},
    {"registry"},
    {"specs"},
    {"presets", "progress", "ranks", "memory", "kinds", "text", "cells", "caches"},
    {"errors", "_core"},
]
# What is on one floor and belongs together.
NEIGHBOURS = {("demo", "study")}
EXEMPT = {
    "__init__",
    "__main__",
}  # hudd/__init__.py names the public interface, hudd/__main__.py the command line

LEVEL = {name: len(FLOORS) - level for level, floor in enumerate(FLOORS) for name in floor}
SOURCES = sorted((ROOT / "hudd").rglob("*.py"))


def _part(module: str) -> str:
    """The part of hudd that a module belongs to: ``hudd.lrp.rules`` to ``lrp``."""
    return module.split(".")[1] if "." in module else "__init__"


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import of hudd, also those inside functions and for type checkers."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "hudd"
            )
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "hudd":
                yield from ((node.lineno, f"hudd.{alias.name}") for alias in node.names)
            elif module.startswith("hudd."):
                yield node.lineno, module


def test_every_part_has_its_floor() -> None:
    parts = {path.relative_to(ROOT / "hudd").parts[0].removesuffix(".py") for path in SOURCES} - EXEMPT
    assert parts <= set(LEVEL), f"add to FLOORS and to docs/architecture.md: {sorted(parts - set(LEVEL))}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = path.relative_to(ROOT / "hudd").parts[0].removesuffix(".py")
    if here in EXEMPT:
        return
    wrong = []
    for line, module in _imports(path):
        there = _part(module)
        if there == here or (here, there) in NEIGHBOURS or module == "hudd.__version__":
            continue
        if LEVEL.get(there, len(FLOORS) + 1) >= LEVEL[here]:
            wrong.append(f"line {line} imports {module}")
    assert not wrong, f"{path.relative_to(ROOT)}: {'; '.join(wrong)}"


@pytest.mark.parametrize("folder", ["hudd", "csrc"])
def test_files_are_short(folder: str) -> None:
    endings = {".py", ".cpp", ".h", ".cu", ".cuh"}
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    assert files
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files
    }
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}
