"""The core compiles where there is no CUDA, also on a machine that has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("source", ["ops.cpp", "tensor_view.cpp", "cpu/parallel.cpp"])
def test_sources_compile_without_cuda(source: str) -> None:
    command = [
        COMPILER,
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-fsyntax-only",
        f"-I{CSRC / 'include'}",
        CSRC / source,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
