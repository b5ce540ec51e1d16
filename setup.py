"""Builds ``hudd._core`` with CMake; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
        drop_stale_cache(build, ROOT)
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target.parent}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            "-DCMAKE_BUILD_TYPE=Release",
            *os.environ.get("HUDD_CMAKE_ARGS", "").split(),
        ]
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        for command in (configure, ["cmake", "--build", str(build), "--parallel", jobs]):
            if code := subprocess.run(command, check=False).returncode:
                raise SystemExit(
                    f"hudd's compiled core could not be built: 'cmake' ended with exit code {code}, for the reason it "
                    "gives above. It needs CMake 3.20 or newer and a C++17 compiler (Debian: apt-get install cmake "
                    "g++)."
                )


def drop_stale_cache(build: Path, source: Path) -> None:
    """Remove a build folder that CMake made for sources elsewhere, as when the checkout was moved or copied.

    CMake refuses such a folder.
    """
    cache = build / "CMakeCache.txt"
    if not cache.is_file():
        return
    lines = cache.read_text(encoding="utf-8", errors="replace").splitlines()
    made = dict(line.split(":INTERNAL=", 1) for line in lines if ":INTERNAL=" in line)
    places = {"CMAKE_HOME_DIRECTORY": source, "CMAKE_CACHEFILE_DIR": build}
    if any(name not in made or Path(made[name]).resolve() != place for name, place in places.items()):
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
