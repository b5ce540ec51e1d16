"""Recorded passes on a GPU."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import hudd

shared = runpy.run_path(str(Path(__file__).with_name("stand_in.py")))
RULES = shared["RULES"]
TARGETS = shared["TARGETS"]
Residual = shared["Residual"]
assert_equal = shared["assert_equal"]


@pytest.fixture
def deterministic() -> Iterator[None]:
    """cuDNN with algorithms that give the same bits each time."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


@pytest.mark.cuda
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("pool", ["none", "channel"])
def test_cuda_graphs_give_the_same_bits(
    net: nn.Module, images: Tensor, deterministic: None, rules: str, pool: str
) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    plain = hudd.LRP(model, rules=rules, pool=pool)
    recorded = hudd.LRP(model, rules=rules, pool=pool, cuda_graphs=True)
    for batch in images.cuda().split(4):
        for target in [*TARGETS, torch.tensor([1, 0, 4, 2], device="cuda")]:
            assert_equal(recorded.attribute(batch, target), plain.attribute(batch, target))


@pytest.mark.cuda
def test_cuda_graphs_replay_on_any_stream(net: nn.Module, images: Tensor, deterministic: None) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    recorded, plain = hudd.LRP(model, cuda_graphs=True), hudd.LRP(model)
    batches = images.cuda().split(4)
    streams = [torch.cuda.Stream() for _ in range(4)]
    torch.cuda.synchronize()
    found = []
    for turn in range(20):
        with torch.cuda.stream(streams[turn % 4]):
            found.append(recorded.attribute(batches[turn % 3]))
    torch.cuda.synchronize()
    for turn, relevance in enumerate(found):
        assert_equal(relevance, plain.attribute(batches[turn % 3]))


@pytest.mark.cuda
@pytest.mark.parametrize("rules", RULES)
def test_a_batch_on_cuda_is_not_halted(net: nn.Module, images: Tensor, rules: str) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    batch, lrp = images.cuda(), hudd.LRP(model, rules=rules)
    for target in TARGETS[:2]:
        lrp.attribute(batch, target)
    lrp._settled = lambda plan, explain: explain()[0]  # type: ignore[method-assign]  # it reads flags, after a batch
    torch.cuda.set_sync_debug_mode("error")
    try:
        for target in TARGETS[:2]:
            lrp.attribute(batch, target)
    finally:
        torch.cuda.set_sync_debug_mode("default")
