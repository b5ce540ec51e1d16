"""The kernels keep to their memory and to defined behaviour, leak nothing, and compile without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent

# Claims 16 numbers where memory for 4 was allocated, and has the core read them.
BEYOND = """
import ctypes, numpy, torch
from hudd import _core
allocate = ctypes.CDLL(None).malloc
allocate.restype = ctypes.c_void_p
numbers = torch.from_numpy(numpy.ctypeslib.as_array((ctypes.c_float * 16).from_address(allocate(16))))
_core.product(torch.utils.dlpack.to_dlpack(numbers), None, torch.utils.dlpack.to_dlpack(torch.empty(16)), None)
"""


def _sanitized(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "sanitized.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 2 and "no AddressSanitizer runtime" in done.stdout:
        pytest.skip(done.stdout.strip())
    return done


def test_kernel_tests_are_clean_under_sanitizers() -> None:
    done = _sanitized(str(HERE), f"--ignore={__file__}", f"--ignore={HERE / 'test_build.py'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_read_beyond_the_end_is_seen() -> None:
    done = _sanitized("-c", BEYOND)
    assert done.returncode == 1
    assert "heap-buffer-overflow" in done.stdout
    assert "csrc/" in done.stdout
