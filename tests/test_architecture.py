"""The layers of docs/architecture.md, checked on the imports: a layer imports only from layers below it."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = {"hudd": 400, "csrc": 450}  # lines a file

# The lowest last. Siblings in one layer do not import each other.
LAYERS = [
    {"cli"},
    {"extend"},
    {"server"},
    {"report", "export", "dossier"},
    {"plot", "review"},
    {"study", "demo", "diagnosis"},
    {"summary"},
    {"tasks"},
    {"retraining", "selection", "evaluation"},
    {"clustering", "features"},
    {"distances"},
    {"lrp"},
    {"capture"},
    {"data", "attributes"},
    {"store"},
    {"settings"},
    {"parts"},
    {"registry"},
    {"specs"},
    {"arithmetic", "presets", "progress", "ranks", "memory", "field_types", "cells", "caches", "colours"},
    {"errors", "text", "language", "version", "lazy", "_core"},
]
# What is in one layer and belongs together.
NEIGHBOURS = {("demo", "study")}
EXEMPT = {
    "__init__",
    "__main__",
}  # hudd/__init__.py names the public interface, hudd/__main__.py the command line

LEVEL = {name: len(LAYERS) - level for level, layer in enumerate(LAYERS) for name in layer}
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


def test_every_part_has_its_layer() -> None:
    parts = {path.relative_to(ROOT / "hudd").parts[0].removesuffix(".py") for path in SOURCES} - EXEMPT
    assert parts <= set(LEVEL), f"add to LAYERS and to docs/architecture.md: {sorted(parts - set(LEVEL))}"


def test_the_drawing_has_every_part_in_its_order() -> None:
    drawing = (ROOT / "docs" / "images" / "layers.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'<text x="[^"]*" y="[^"]*" text-anchor="middle">(\w+)</text>', drawing)
    assert sorted(drawn) == sorted(LEVEL)
    levels = [LEVEL[name] for name in drawn]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = path.relative_to(ROOT / "hudd").parts[0].removesuffix(".py")
    if here in EXEMPT:
        return
    wrong = []
    for line, module in _imports(path):
        there = _part(module)
        if there == here or (here, there) in NEIGHBOURS:
            continue
        if LEVEL.get(there, len(LAYERS) + 1) >= LEVEL[here]:
            wrong.append(f"line {line} imports {module}")
    assert not wrong, f"{path.relative_to(ROOT)}: {'; '.join(wrong)}"


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _graph() -> dict[str, set[str]]:
    """Each module of hudd with those that it names in an import, be it lazy or for type checkers only."""
    modules = {_module(path): path for path in (*SOURCES, ROOT / "hudd/_core.pyi")}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module} imports relative to itself; name the module in full"
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= inside & set(modules)
                found |= {str(node.module)} if inside - set(modules) else set()
        graph[module] = found & set(modules)
    return graph


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    reached = {module: set(there) for module, there in graph.items()}
    for middle in graph:  # Warshall's transitive closure
        for module in graph:
            if middle in reached[module]:
                reached[module] |= reached[middle]
    mutual = {m: frozenset(t for t in there if m in reached[t]) for m, there in reached.items()}
    return sorted(sorted(group) for group in set(mutual.values()) if group)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda path: path.name)
def test_benchmarks_import_what_there_is(path: Path) -> None:
    """The scripts take too long to run here, and type checks leave them out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "hudd":
            module = importlib.import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                assert hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}"), name


def test_no_modules_import_each_other() -> None:
    assert _circles(_graph()) == []


def test_a_circle_is_seen() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set(), "e": {"e"}}
    assert _circles(graph) == [["a", "b", "c"], ["e"]]


def test_modules_are_not_imported_behind_the_back_of_these_tests() -> None:
    hidden = [
        path.name for path in (ROOT / "hudd/study").rglob("*.py") if "import_module" in path.read_text()
    ]
    assert hidden == []


def test_the_study_is_a_facade() -> None:
    assert len((ROOT / "hudd/study/study.py").read_text(encoding="utf-8").splitlines()) <= 200
    # steps, checks, features and fingerprints never take the whole study
    users = {module for module, there in _graph().items() if "hudd.study.study" in there}
    assert {user for user in users if user.startswith("hudd.study.")} <= {"hudd.study.labels"}


@pytest.mark.parametrize("folder", LONGEST)
def test_files_are_short(folder: str) -> None:
    endings = {".py", ".cpp", ".h", ".cu", ".cuh"}
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    assert files
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files
    }
    assert {name: count for name, count in lines.items() if count > LONGEST[folder]} == {}


LONGEST_FUNCTION = 60  # lines, the docstring aside


def _lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with its lines, those of its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0] if ast.get_docstring(node) is not None else None
            docstring = told.end_lineno - told.lineno + 1 if told is not None else 0
            yield f"{path.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1 - docstring


def test_functions_are_short() -> None:
    lengths = {name: lines for path in SOURCES for name, lines in _lengths(path)}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_a_long_function_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = [
        "def f():",
        '    """Told',
        "    in two lines.",
        '    """',
        *["    x = 1"] * 59,
        "    async def g(): ...",
    ]
    (tmp_path / "f.py").write_text("\n".join(body))
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert dict(_lengths(tmp_path / "f.py")) == {"f.py:f": 61, "f.py:g": 1}
