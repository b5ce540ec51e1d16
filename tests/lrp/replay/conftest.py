"""A network, images, and a recorder that needs no GPU."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hudd.capture import RelevanceGraph, capture

shared = runpy.run_path(str(Path(__file__).with_name("stand_in.py")))
Residual = shared["Residual"]
StandInRecorder = shared["StandInRecorder"]


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch, known: dict[object, RelevanceGraph]) -> None:
    """Capture takes nearly all the time of these tests."""

    def remembered(model: nn.Module, example: tuple[Tensor, ...]) -> RelevanceGraph:
        key = model, *(tensor.shape[1:] for tensor in example)
        if key not in known:
            known[key] = capture(model, example)
        return known[key]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


@pytest.fixture(scope="module")
def known() -> dict[object, RelevanceGraph]:
    return {}


@pytest.fixture(scope="module")
def net() -> Residual:
    torch.manual_seed(0)
    model = Residual().eval()
    with torch.no_grad():
        model.branch[2].weight[:3] = -model.branch[2].weight[:3].abs()
        model.branch[2].bias[:3] = -0.1
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn((12, 3, 12, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> StandInRecorder:
    """In place of CUDA's, with rules that may not look at a number, as on a GPU."""
    made = StandInRecorder()
    monkeypatch.setattr("hudd.lrp.engine.CudaRecorder", lambda: made)
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    return made
