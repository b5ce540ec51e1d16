"""Division by multiplication, on the host: the quotient and the remainder of any two numbers below 2^31."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

INCLUDE = Path(__file__).parents[2] / "csrc" / "include"
SOURCE = """
#include "hudd/divisor.h"
extern "C" std::uint32_t divide(std::uint32_t dividend, std::int64_t divisor, std::uint32_t* rest) {
  const std::uint32_t quotient = hudd::Divisor(divisor).take(dividend);
  *rest = dividend;
  return quotient;
}
"""


@pytest.fixture(scope="module")
def divide(tmp_path_factory: pytest.TempPathFactory) -> ctypes._CFuncPtr:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("divisor")
    (folder / "divide.cpp").write_text(SOURCE)
    command = [compiler, "-std=c++17", "-shared", "-fPIC", f"-I{INCLUDE}", "divide.cpp", "-o", "divide.so"]
    subprocess.run(command, cwd=folder, check=True)
    function = ctypes.CDLL(str(folder / "divide.so")).divide
    function.restype = ctypes.c_uint32
    function.argtypes = [ctypes.c_uint32, ctypes.c_int64, ctypes.POINTER(ctypes.c_uint32)]
    return function


_EDGES = sorted({n for power in range(32) for n in (2**power - 1, 2**power, 2**power + 1) if 0 < n < 2**31})


def _agrees(divide: ctypes._CFuncPtr, dividend: int, divisor: int) -> None:
    rest = ctypes.c_uint32()
    assert (divide(dividend, divisor, rest), rest.value) == divmod(dividend, divisor)


def test_beside_powers_of_two(divide: ctypes._CFuncPtr) -> None:
    for divisor in _EDGES:
        for dividend in (0, *_EDGES):
            _agrees(divide, dividend, divisor)


@settings(max_examples=500)
@given(st.integers(0, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_any_numbers(divide: ctypes._CFuncPtr, dividend: int, divisor: int) -> None:
    _agrees(divide, dividend, divisor)
