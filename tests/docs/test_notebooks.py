"""Every notebook of examples/ runs from top to bottom, in order, as it is committed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))

# torchvision's compiled part may be missing or made for another torch; models need none of it, only two names.
TORCHVISION = """
import torch
try:
    import torchvision
except RuntimeError:
    operators = torch.library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def test_there_is_one_for_each_topic() -> None:
    assert set(NAMES) == {"choosing-labels", "detector", "first-study", "own-model", "report-data"}


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_hold_no_output(name: str) -> None:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, peer: Callable[[str], ModuleType]) -> Callable[[str], None]:
    """Returns a function that runs a notebook once, after those that it goes on with, in a folder that all share."""
    folder, done = tmp_path_factory.mktemp("notebooks"), set()

    def run_once(name: str) -> None:
        if name in done:
            return
        content = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
        for earlier in re.findall(r"goes on with the study of \[[^]]*\]\(([\w-]+)\.ipynb\)", content):
            run_once(earlier)
        notebook = peer("nbformat").reads(content, as_version=4)
        if "torchvision" in content:
            notebook.cells.insert(0, peer("nbformat").v4.new_code_cell(TORCHVISION))
        resources = {"metadata": {"path": folder}}
        peer("nbclient").NotebookClient(notebook, timeout=None, resources=resources).execute()
        done.add(name)

    return run_once


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, run: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the networks are tiny
    run(name)
