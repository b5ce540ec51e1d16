"""Golden selection files, where they are at hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(os.environ.get("HUDD_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture(scope="session")
def golden():
    folder = SHARED / "golden"
    if not (folder / "selection.npz").is_file():
        pytest.skip("the golden selection files are not at hand; set HUDD_SHARED")
    with np.load(folder / "selection.npz") as arrays:
        return dict(arrays), json.loads((folder / "selection.json").read_text())
