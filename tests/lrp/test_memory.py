"""Calls in a row take no more memory than the first ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import hudd

pytestmark = pytest.mark.slow

STATUS = Path("/proc/self/status")


def _resident() -> int:
    """Resident memory of this process in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not STATUS.exists(), reason="resident memory is read from /proc")
@pytest.mark.parametrize("rules", ["epsilon-plus", "recommended"])
def test_a_thousand_batches(rules: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(10),
    )  # fmt: skip
    images = torch.randn(8, 3, 32, 32)
    model(images)
    lrp = hudd.LRP(model, rules=rules)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a net gains nothing by more
    for _ in range(100):
        lrp.attribute(images)
    before = _resident()
    for _ in range(1000):
        lrp.attribute(images)
    torch.set_num_threads(threads)
    assert _resident() <= 1.02 * before
