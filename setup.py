"""Builds ``hudd._core`` with CMake; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configures and builds the CMake project, and leaves the module where setuptools looks for it."""

    def build_extension(self, ext: Extension) -> None:
        """Build one extension; ``ext.name`` is the module's dotted name."""
        if shutil.which("cmake") is None:
            raise SystemExit(
                "hudd needs CMake 3.20 or newer to build its compiled core and none was found on PATH. "
                "Install it (Debian: apt-get install cmake; anywhere: pip install cmake) and try again."
            )
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        build = Path(self.build_temp).resolve() / "core"
        own = os.environ.get("HUDD_CMAKE_ARGS", "").split()
        generator = wanted_generator(own)
        drop_stale_cache(build, ROOT, generator)
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            *([f"-G{generator}"] if generator else []),
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target.parent}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            "-DCMAKE_BUILD_TYPE=Release",
            *own,
        ]
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        for command in (configure, ["cmake", "--build", str(build), "--parallel", jobs]):
            if code := subprocess.run(command, check=False).returncode:
                raise SystemExit(
                    f"hudd's compiled core could not be built: 'cmake' ended with exit code {code}, for the reason it "
                    "gives above. It needs CMake 3.20 or newer and a C++17 compiler (Debian: apt-get install cmake "
                    "g++)."
                )


def wanted_generator(arguments: Sequence[str]) -> str:
    """Return the generator that was asked for, Ninja where there is no make, else "": what CMake takes by itself.

    Parameters
    ----------
    arguments : sequence of str
        Those for CMake; ``-GNinja`` is understood, and so is the variable ``CMAKE_GENERATOR``.
    """
    given = [each[2:] for each in arguments if each.startswith("-G") and each != "-G"]
    if given or "CMAKE_GENERATOR" in os.environ:
        return given[-1] if given else os.environ["CMAKE_GENERATOR"]
    return "" if shutil.which("make") or shutil.which("gmake") or not shutil.which("ninja") else "Ninja"


def drop_stale_cache(build: Path, source: Path, generator: str = "") -> None:
    """Remove a build folder that CMake refuses, or would build the wrong thing in.

    It was made for sources elsewhere, as when the checkout was moved or copied, by another generator, for another
    Python, or with tools that have gone since, as those of pip's build environments do.
    """
    cache = build / "CMakeCache.txt"
    if not cache.is_file():
        return
    lines = cache.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (re.fullmatch(r"([^:=#/]+):[A-Z]+=(.*)", line) for line in lines)
    made = {pair[1]: pair[2] for pair in pairs if pair}
    places = {"CMAKE_HOME_DIRECTORY": source, "CMAKE_CACHEFILE_DIR": build}
    tools = ("CMAKE_COMMAND", "CMAKE_MAKE_PROGRAM", "CMAKE_CXX_COMPILER")
    if (
        any(name not in made or Path(made[name]).resolve() != place for name, place in places.items())
        or (generator and made.get("CMAKE_GENERATOR") != generator)
        or made.get("Python_EXECUTABLE", sys.executable) != sys.executable
        or any(shutil.which(made[tool]) is None for tool in tools if tool in made)
    ):
        shutil.rmtree(build)


class BuildWithBenchmarks(build_py):
    """Ships the scripts of ``benchmarks/`` inside the package, for ``hudd bench``."""

    def run(self) -> None:
        """Copy them where ``hudd/cli/bench.py`` looks; in an editable installation they lie beside the package."""
        super().run()
        if not self.editable_mode:
            for script in sorted((ROOT / "benchmarks").rglob("*.py")):
                target = Path(self.build_lib, "hudd", script.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(script, target)


setup(
    ext_modules=[Extension("hudd._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild, "build_py": BuildWithBenchmarks},
)
