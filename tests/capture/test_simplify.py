"""Batch norm is folded where that is exact, and kept as an affine map where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hudd.capture import RelevanceGraph, capture
from hudd.capture.simplify import affine_channels, identity


def _run(captured: RelevanceGraph, images: torch.Tensor) -> torch.Tensor:
    placeholders = [node for node in captured.graph.nodes if node.op == "placeholder"]
    values = [images if node in captured.inputs else captured.constants[node.name] for node in placeholders]
    with torch.no_grad():
        return torch.fx.Interpreter(nn.Module(), graph=captured.graph).run(*values)[0]


def _settled(model: nn.Module) -> nn.Module:
    """`model` with batch norms as after a training."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d)):
            module.running_mean.normal_()
            module.running_var.uniform_(0.1, 3)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


Make = Callable[[], nn.Module]
FOLDED: dict[str, tuple[Make, tuple[int, ...]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), (6,)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), (4, 9)),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)), (4, 7, 7)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3)), (2, 4, 4, 4)),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)), (4, 7, 7)),
    "depthwise": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8)), (4, 7, 7)),
    "same": (lambda: nn.Sequential(nn.Conv2d(4, 6, 4, padding="same"), nn.BatchNorm2d(6)), (4, 7, 7)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2), nn.BatchNorm2d(6)), (4, 5, 5)),
    "instance norm by running statistics": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
        ),
        (4, 7, 7),
    ),
    "not affine": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)), (4, 7, 7)),
}


class _TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.bn(y)


class _OneConvolutionTwoNorms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = (
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.BatchNorm2d(4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.conv(self.first(self.conv(x)).relu()))


KEPT: dict[str, tuple[Make, tuple[int, ...]]] = {
    "first": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)), (4, 7, 7)),
    "behind relu": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.BatchNorm2d(6)), (4, 7, 7)),
    "grouped transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
        (4, 5, 5),
    ),
    "instance norm behind relu": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.InstanceNorm2d(6, track_running_stats=True)),
        (4, 7, 7),
    ),
    "two readers": (_TwoReaders, (4, 7, 7)),
    # Batch norm scales axis 1; a linear layer's features are the last axis. Equal sizes must not hide that.
    "linear on tokens": (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), (5, 6)),
}


def _close(model: nn.Module, captured: RelevanceGraph, shape: tuple[int, ...]) -> None:
    images = torch.randn(4, *shape)
    exact = model.double()(images.double())
    room = 1e-5 * exact.abs().amax()
    assert ((_run(captured, images) - exact).abs() <= room).all()


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name: str) -> None:
    torch.manual_seed(0)
    make, shape = FOLDED[name]
    model = _settled(make())
    captured = capture(model, torch.randn(2, *shape))
    linear, norm = [node for node in captured.graph.nodes if node.op == "call_function"]
    assert (linear.meta["module"], norm.meta["module"]) == ("0", "1")
    assert norm.target is identity  # costs nothing, and keeps the layer's name
    _close(model, captured, shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_kept_as_an_affine_map(name: str) -> None:
    torch.manual_seed(0)
    make, shape = KEPT[name]
    model = _settled(make())
    captured = capture(model, torch.randn(2, *shape))
    assert affine_channels in {node.target for node in captured.graph.nodes}
    _close(model, captured, shape)


def test_one_convolution_with_a_norm_for_each_of_its_calls() -> None:
    torch.manual_seed(0)
    model = _settled(_OneConvolutionTwoNorms())
    captured = capture(model, torch.randn(2, 4, 6, 6))
    assert affine_channels not in {node.target for node in captured.graph.nodes}
    _close(model, captured, (4, 6, 6))


class _Squeezes(nn.Module):
    def __init__(self, *axes: Any) -> None:
        super().__init__()
        self.conv, self.axes = nn.Conv2d(4, 6, 3), axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3), keepdim=True).squeeze(*self.axes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "rest"),
    [((), (6,)), ((0,), (6, 1, 1)), ((-1,), (6, 1)), (((0, 2, 3),), (6,)), (((-4, 1, -2),), (6, 1))],
    ids=repr,
)
def test_a_batch_of_one_stays_a_batch(axes: tuple[Any, ...], rest: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model, images = _Squeezes(*axes).eval(), torch.randn(3, 4, 5, 5)
    captured = capture(model, images)
    assert torch.equal(_run(captured, images), model(images))
    alone = _run(captured, images[:1])
    assert alone.shape == (1, *rest)
    torch.testing.assert_close(alone, model(images).detach()[:1])


def test_folding_leaves_the_weights_of_the_model() -> None:
    model = _settled(FOLDED["conv2d"][0]())
    before = [tensor.clone() for tensor in model.state_dict().values()]
    capture(model, torch.randn(2, 4, 7, 7))
    assert all(torch.equal(*pair) for pair in zip(before, model.state_dict().values()))


def test_identities_cost_no_copy() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Flatten(0, 0), nn.Identity(), nn.Linear(6, 2)).eval()
    captured = capture(model, torch.randn(2, 6))
    called = [node.target for node in captured.graph.nodes if node.op == "call_function"]
    assert identity in called
    images = torch.randn(3, 6)
    assert identity(images) is images
    assert torch.equal(_run(captured, images), model(images))
