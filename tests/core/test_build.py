"""The core compiles without CUDA, also on a machine that has it, and for 64-bit Arm, without a warning."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
COMPILERS = {
    "native": shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"),
    "aarch64": shutil.which("aarch64-linux-gnu-g++"),
}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# All but the bindings, which need Python's and pybind11's headers.
SOURCES = sorted(str(path.relative_to(CSRC)) for path in CSRC.rglob("*.cpp") if path.name != "bindings.cpp")


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", COMPILERS)
def test_sources_compile_without_cuda(source: str, target: str) -> None:
    compiler = COMPILERS[target]
    if compiler is None:
        pytest.skip(f"no C++ compiler for {target}")
    includes = [f"-I{CSRC / 'include'}", f"-I{CSRC / 'cpu'}"]
    command = [compiler, "-std=c++17", *WARNINGS, "-fsyntax-only", "-DHUDD_ISA=generic", *includes]
    done = subprocess.run([*command, CSRC / source], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


SETUP = CSRC.parent / "setup.py"


def _setup(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    return runpy.run_path(str(SETUP))


def _write_cache(build: Path, **entries: object) -> None:
    build.mkdir(exist_ok=True)
    lines = [f"{name}:INTERNAL={value}" for name, value in entries.items() if value is not None]
    (build / "CMakeCache.txt").write_text(
        "\n".join(["# a comment", "//Help", "CMAKE_BUILD_TYPE:STRING=", *lines])
    )


CHANGES: dict[str, dict[str, object]] = {
    "sources": {"CMAKE_HOME_DIRECTORY": "/elsewhere"},
    "build folder": {"CMAKE_CACHEFILE_DIR": "/elsewhere"},
    "place unknown": {"CMAKE_CACHEFILE_DIR": None},
    "generator": {"CMAKE_GENERATOR": "Unix Makefiles"},
    "Python": {"Python_EXECUTABLE": "/elsewhere/bin/python"},
    "CMake gone": {"CMAKE_COMMAND": "/elsewhere/bin/cmake"},
    "make gone": {"CMAKE_MAKE_PROGRAM": "/elsewhere/bin/ninja"},
    "compiler gone": {"CMAKE_CXX_COMPILER": "/elsewhere/bin/c++"},
}


@pytest.mark.parametrize("changed", ["nothing", *CHANGES])
def test_a_stale_build_folder_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    drop = _setup(monkeypatch)["drop_stale_cache"]
    source, build = tmp_path / "checkout", tmp_path / "build"
    drop(build, source, "Ninja")  # no cache yet
    tools = ("CMAKE_COMMAND", "CMAKE_MAKE_PROGRAM", "CMAKE_CXX_COMPILER", "Python_EXECUTABLE")
    places = {"CMAKE_HOME_DIRECTORY": source, "CMAKE_CACHEFILE_DIR": build, "CMAKE_GENERATOR": "Ninja"}
    _write_cache(build, **dict.fromkeys(tools, sys.executable) | places | CHANGES.get(changed, {}))
    drop(build, source, "Ninja")
    assert build.exists() == (changed == "nothing")


def test_without_a_wish_the_generator_of_the_cache_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_cache(
        tmp_path, CMAKE_HOME_DIRECTORY=tmp_path, CMAKE_CACHEFILE_DIR=tmp_path, CMAKE_GENERATOR="Ninja"
    )
    _setup(monkeypatch)["drop_stale_cache"](tmp_path, tmp_path)
    assert tmp_path.exists()


@pytest.mark.parametrize(
    ("tools", "arguments", "variable", "expected"),
    [
        (("make", "ninja"), (), None, ""),
        (("ninja",), (), None, "Ninja"),
        ((), (), None, ""),
        (("make",), (), "Ninja", "Ninja"),
        (("make",), ("-DX=1", "-GNinja"), "Unix Makefiles", "Ninja"),
    ],
)
def test_the_generator(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tools: tuple[str, ...],
    arguments: tuple[str, ...],
    variable: str | None,
    expected: str,
) -> None:
    wanted = _setup(monkeypatch)["wanted_generator"]
    _tools(tmp_path, monkeypatch, **dict.fromkeys(tools, ""))
    monkeypatch.delenv("CMAKE_GENERATOR", raising=False)
    if variable:
        monkeypatch.setenv("CMAKE_GENERATOR", variable)
    assert wanted(arguments) == expected


def _tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Leave only these programs on PATH."""
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("scripts", "missing"),
    [
        ({"cmake": "echo cmake version 3.20.0", "make": ""}, []),
        ({"cmake": "echo cmake version 4.1.2-rc1", "ninja": ""}, []),
        ({"cmake": "echo cmake version 3.9.6", "make": ""}, ["cmake>=3.20"]),
        ({"cmake": "echo no module named cmake >&2; exit 1", "make": ""}, ["cmake>=3.20"]),
        ({"cmake": "echo nothing", "make": ""}, ["cmake>=3.20"]),
        ({"make": ""}, ["cmake>=3.20"]),
        ({}, ["cmake>=3.20", "ninja>=1.10"]),
    ],
)
def test_the_build_asks_for_the_tools_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripts: dict[str, str], missing: list[str]
) -> None:
    backend = runpy.run_path(str(CSRC.parent / "build_backend" / "hudd_build.py"))
    _tools(tmp_path, monkeypatch, **scripts)
    assert backend["missing_tools"]() == missing


def test_the_oldest_cmake_is_that_of_the_build_description() -> None:
    backend = runpy.run_path(str(CSRC.parent / "build_backend" / "hudd_build.py"))
    stated = (CSRC.parent / "CMakeLists.txt").read_text().splitlines()[0]
    assert stated == f"cmake_minimum_required(VERSION {'.'.join(map(str, backend['CMAKE']))})"
