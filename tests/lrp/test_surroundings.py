"""What goes on around LRP makes no difference to it: other threads, copies, autocast."""

from __future__ import annotations

import copy
import pickle
import threading
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.capture import RelevanceGraph, capture


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn((3, 3, 8, 8), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def expected(model: nn.Module, images: Tensor) -> Tensor:
    return hudd.LRP(model).attribute(images).inputs[0]


@pytest.mark.slow
@pytest.mark.timing
def test_the_first_batch_from_two_threads(
    model: nn.Module, images: Tensor, expected: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, meeting, met = capture(model, images), threading.Barrier(2), []

    def slow(model: nn.Module, example: tuple[Tensor, ...]) -> RelevanceGraph:
        with suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(0.5))
        return known

    monkeypatch.setattr("hudd.lrp.engine.capture", slow)
    lrp, found = hudd.LRP(model), []
    threads = [threading.Thread(target=lambda: found.append(lrp.attribute(images).inputs[0])) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met
    assert len(found) == 2
    assert all(torch.equal(heatmap, expected) for heatmap in found)


def test_one_that_has_seen_no_batch_can_be_copied(model: nn.Module, images: Tensor, expected: Tensor) -> None:
    lrp = hudd.LRP(model)
    for other in (copy.deepcopy(lrp), pickle.loads(pickle.dumps(lrp))):
        assert torch.equal(other.attribute(images).inputs[0], expected)


@pytest.mark.parametrize("prepared", [False, True])
def test_under_autocast(model: nn.Module, images: Tensor, expected: Tensor, prepared: bool) -> None:
    lrp = hudd.LRP(model)
    if prepared:
        lrp.prepare(images)
    with torch.autocast("cpu", torch.bfloat16):
        found = lrp.attribute(images).inputs[0]
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(found, expected)
