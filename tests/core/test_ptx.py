"""What nvcc makes of the CUDA kernels: the committed table is what the sources give, and it is what it should be."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMITTED: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "ptx.json").read_text())
KERNELS: dict[str, dict[str, int]] = COMMITTED["kernels"]
ELEMENTWISE = ("quotient", "box", "split", "by_sign", "product", "reordered")


@pytest.mark.slow
def test_the_committed_table_is_what_the_sources_give() -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on PATH")
    found = runpy.run_path(str(ROOT / "benchmarks" / "ptx.py"))["table"]()
    again = "run python benchmarks/ptx.py --out benchmarks/results/ptx.json"
    if found["nvcc"] != COMMITTED["nvcc"]:
        pytest.skip(f"the table was made with nvcc {COMMITTED['nvcc']}, and this is {found['nvcc']}")
    assert found["kernels"] == KERNELS, again


def test_no_kernel_spills_registers() -> None:
    assert {name for name, counts in KERNELS.items() if counts["spilled bytes"]} == set()


def test_integers_are_divided_only_where_32_bits_do_not_do() -> None:
    assert {name for name, counts in KERNELS.items() if counts["divisions"]} == {
        "general_kernel<long, LongDivisor>"
    }


@pytest.mark.parametrize("kernel", ELEMENTWISE)
def test_elementwise_kernels_load_and_store_16_bytes(kernel: str) -> None:
    variants = {name: counts for name, counts in KERNELS.items() if name.startswith(f"{kernel}_kernel")}
    narrow = "<false>" if kernel in ("box", "split", "by_sign") else ", false>"
    wide = {
        name: counts
        for name, counts in variants.items()
        if kernel == "reordered" or not name.endswith(narrow)
    }
    assert wide
    for name, counts in wide.items():
        assert counts["wide loads"] > 0, name
        assert counts["wide stores"] > 0 or "Nothing" in name, name
