"""Setuptools' build backend, which also asks for CMake and a build tool where the machine has none that will do.

So ``pip install .`` needs nothing but pip and a C++ compiler, and a CMake that is installed is the one that is used.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

CMAKE = (3, 20)  # as CMakeLists.txt has it
Settings = Mapping[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what has to be installed before a wheel can be built."""
    return _with_tools(build_meta.get_requires_for_build_wheel, config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return what has to be installed before the package can be installed in place."""
    return _with_tools(build_meta.get_requires_for_build_editable, config_settings)


def _with_tools(own: Callable[[Settings], list[str]], settings: Settings) -> list[str]:
    return [*own(settings), *missing_tools()]


def missing_tools() -> list[str]:
    """Return the requirements of the build tools that are not on PATH, or too old."""
    missing = []
    if cmake_version() < CMAKE:
        missing.append(f"cmake>={'.'.join(map(str, CMAKE))}")
    if not any(shutil.which(tool) for tool in ("ninja", "make", "gmake")):
        missing.append("ninja>=1.10")
    return missing


def cmake_version() -> tuple[int, ...]:
    """Return the version of the CMake on PATH; empty where there is none that answers."""
    found = shutil.which("cmake")
    if found is None:
        return ()
    try:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):  # such as the launcher of an environment that is gone
        return ()
    version = re.search(r"version (\d+)\.(\d+)", told.stdout)
    return tuple(map(int, version.groups())) if version else ()
