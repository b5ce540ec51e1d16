"""Activations that are computed again: the same bits, less memory, at most one more forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

import hudd
from hudd.capture import RelevanceGraph, capture
from hudd.lrp.operations import Values, call

pytestmark = pytest.mark.slow


class Mixed(nn.Module):
    """Rectifiers in place, batch norm, a residual, several outputs of one call, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.Dropout(),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.left, self.right = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        first, second = x.chunk(2, 1)
        x = functional.relu(self.left(first) + self.right(second) + x, inplace=True)
        x = self.norm(x.flatten(2).transpose(1, 2))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1))


def _deep(depth: int = 24) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Conv2d(8 if index else 3, 8, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture takes nearly all the time of these tests."""
    known: dict[nn.Module, RelevanceGraph] = {}

    def remembered(model: nn.Module, example: tuple[Tensor, ...]) -> RelevanceGraph:
        if model not in known:
            known[model] = capture(model, example)
        return known[model]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


def _made(make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    return make().eval(), [torch.randn(3, *shape) for shape in shapes]


def _largest(outputs: Any) -> Any:
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    seeds = [output * (output == output.flatten(1).amax()) for output in several]
    return seeds if isinstance(outputs, tuple) else seeds[0]


def _assert_same(model: nn.Module, images: list[Tensor], **options: Any) -> None:
    whole, again = (
        hudd.LRP(model, recompute=recompute, **options).attribute(images, _largest)
        for recompute in (False, True)
    )
    assert list(whole.layers) == list(again.layers)
    for kind in ("layers", "conservation", "bias_share"):
        for name, tensor in getattr(whole, kind).items():
            assert torch.equal(getattr(again, kind)[name], tensor), (kind, name)
    for mine, theirs in zip((*whole.inputs, *whole.outputs), (*again.inputs, *again.outputs)):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "rules", ["epsilon", "epsilon-plus", "epsilon-gamma-box", "zero", "attnlrp", "hudd-2021"]
)
def test_the_same_bits(rules: str) -> None:
    model, images = _made(Mixed, (3, 12, 12))
    _assert_same(model, images, rules=rules)
    _assert_same(model, images, rules=rules, layers=["norm", "head"], pool="channel")
    _assert_same(model, images, rules=rules, at="output", bias_share=True)


@pytest.mark.parametrize(
    "name", ["u-net", "stacked hourglass", "hrnet-like fusion", "two inputs, two outputs"]
)
def test_the_same_bits_of_other_networks(
    networks: dict[str, tuple[type[nn.Module], list[tuple[int, ...]]]], name: str
) -> None:
    make, shapes = networks[name]
    model, images = _made(make, *shapes)
    _assert_same(model, images, rules="epsilon-plus")
    _assert_same(model, images, rules="epsilon")


def _watched(monkeypatch: pytest.MonkeyPatch, lrp: hudd.LRP, images: Tensor) -> tuple[int, int]:
    """The most memory that values took, in bytes, and the number of convolutions that were run."""
    most, convolutions = 0, 0

    def watching(node: fx.Node, values: Values) -> Any:
        nonlocal most, convolutions
        result = call(node, values)
        convolutions += node.target is torch.ops.aten.conv2d.default
        held = [value for value in (*values.values(), result) if isinstance(value, Tensor)]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in held}
        most = max(most, sum(storages.values()))
        return result

    lrp.attribute(images)
    monkeypatch.setattr("hudd.lrp.run.call", watching)
    lrp.attribute(images)
    return most, convolutions


def test_less_memory_for_one_more_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (images,) = _made(_deep, (3, 16, 16))
    whole, _ = _watched(monkeypatch, hudd.LRP(model, rules="epsilon"), images)
    again, convolutions = _watched(monkeypatch, hudd.LRP(model, rules="epsilon", recompute=True), images)
    assert again < 0.5 * whole
    assert 24 < convolutions < 48


def test_what_comes_before_the_earliest_layer_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (images,) = _made(_deep, (3, 16, 16))
    lrp = hudd.LRP(model, rules="epsilon", layers=["40"], recompute=True)  # the 21st convolution
    _, convolutions = _watched(monkeypatch, lrp, images)
    assert 24 <= convolutions < 28
