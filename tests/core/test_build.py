"""The core compiles without CUDA, also on a machine that has it, and for 64-bit Arm, without a warning."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

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


@pytest.mark.parametrize("moved", ["nothing", "source", "build"])
def test_a_build_folder_of_sources_elsewhere_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    drop = runpy.run_path(str(CSRC.parent / "setup.py"))["drop_stale_cache"]
    source, build = tmp_path / "checkout", tmp_path / "build"
    build.mkdir()
    drop(build, source)  # no cache yet
    there = {"source": source, "build": build} | (
        {moved: tmp_path / "elsewhere"} if moved != "nothing" else {}
    )
    (build / "CMakeCache.txt").write_text(
        f"CMAKE_BUILD_TYPE:STRING=Release\nCMAKE_HOME_DIRECTORY:INTERNAL={there['source']}\n"
        f"CMAKE_CACHEFILE_DIR:INTERNAL={there['build']}\n"
    )
    drop(build, source)
    assert build.exists() == (moved == "nothing")
