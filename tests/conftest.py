"""Fixtures for every test: where the shared data lies, and what is read from it once."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and real data; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (set HUDD_SHARED)")
    return folder


@pytest.fixture(scope="session")
def lrp_golden(shared: Path) -> dict[str, np.ndarray]:
    """Heatmaps by the authors' own functions."""
    with np.load(shared / "golden" / "lrp_small.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="session")
def read_study() -> Callable[[Path], dict[str, np.ndarray]]:
    """The reader that knows docs/format.md and h5py, and nothing of hudd."""
    return runpy.run_path(str(Path(__file__).with_name("reader.py")))["read_study"]
