"""Builds the core with AddressSanitizer and UndefinedBehaviorSanitizer, and runs pytest over it.

    python tests/core/sanitized.py tests/core tests/lrp     # `make sanitize`

Ends with 1 where a test fails, the sanitizers report anything, or memory that csrc/ allocated is never freed. What
Python and torch leave behind at exit is theirs and does not count.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pybind11

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "sanitize"


def runtimes() -> list[str]:
    """Return the compiler's libraries that must be loaded before Python; none where there is no sanitizer."""
    compiler = shutil.which("c++")
    found = []
    for library in ("libasan.so", "libstdc++.so.6") if compiler and shutil.which("cmake") else ():
        command = [str(compiler), f"-print-file-name={library}"]
        path = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        if not path.is_absolute():
            return []
        found.append(str(path))
    return found


def build() -> Path:
    """Build the core, every warning an error, and return the module."""
    configure = [
        "cmake",
        f"-S{ROOT}",
        f"-B{BUILD}",
        "-DHUDD_SANITIZE=ON",
        "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
    ]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD, "--parallel", "2"], check=True, stdout=subprocess.DEVNULL)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    return BUILD / f"_core{suffix}"


def run(module: Path, command: list[str]) -> int:
    """Run Python with `module` as ``hudd._core``; print what the sanitizers say of it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "LD_PRELOAD": ":".join(runtimes()),
            "ASAN_OPTIONS": f"detect_leaks=1:log_path={folder}/report",
            "LSAN_OPTIONS": "exitcode=0:max_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "HUDD_SANITIZED_CORE": str(module),
        }
        done = subprocess.run([sys.executable, __file__, *command], env=environment, cwd=ROOT)
        reports = [path.read_text(errors="replace") for path in sorted(Path(folder).iterdir())]
    leaks, found = [], []
    for report in reports:
        (leaks if "ERROR: LeakSanitizer" in report else found).append(report)
    found += [leak for report in leaks for leak in report.split("\n\n") if "csrc/" in leak]
    print(*found, sep="\n\n")
    return done.returncode or int(bool(found))


def _over(module: str, command: list[str]) -> int:
    """Run pytest, or code after ``-c``, in this process with the module loaded as ``hudd._core``."""
    del os.environ["LD_PRELOAD"]  # programs that the tests start are not watched
    loader = importlib.machinery.ExtensionFileLoader("hudd._core", module)
    sys.modules["hudd._core"] = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("hudd._core", loader)
    )
    loader.exec_module(sys.modules["hudd._core"])
    if command[0] == "-c":
        exec(command[1], {})
        return 0
    import pytest

    return pytest.main(["-p", "no:cacheprovider", *command])


def main() -> int:
    """Run the command line's tests."""
    if module := os.environ.pop("HUDD_SANITIZED_CORE", None):
        return _over(module, sys.argv[1:])
    if not runtimes():
        print("The C++ compiler on PATH has no AddressSanitizer runtime; install GCC with its libasan.")
        return 2
    return run(build(), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
