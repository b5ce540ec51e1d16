"""Layers whose channels lie last, and others in the same network whose channels lie behind the images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hudd
from hudd.features import Activations

pytestmark = pytest.mark.slow


class Tokens(nn.Module):
    """A vision transformer's beginning: patches, a class token, an attention block."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 6, 4, 4), nn.Parameter(torch.randn(1, 1, 6))
        self.norm, self.attention = nn.LayerNorm(6), nn.MultiheadAttention(6, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], 1)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.mlp(x))[:, 0])


class ChannelsLast(nn.Module):
    """A block of ConvNeXt: a convolution, then linear layers with the channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.block = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6))
        self.relu, self.head = nn.ReLU(), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.block(self.depthwise(x).permute(0, 2, 3, 1))
        return self.head(self.relu(x + y.permute(0, 3, 1, 2)).mean((2, 3)))


class Mixer(nn.Module):
    """Linear layers over tokens and over channels by turns."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6)
        self.tokens, self.channels, self.head = nn.Linear(4, 4), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + functional.gelu(self.tokens(self.norm(x).transpose(1, 2))).transpose(1, 2)
        return self.head(self.channels(x).mean(1))


class Halves(nn.Module):
    """Both halves of an image through one convolution, side by side along the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 5, 3), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        sides = self.convolution(torch.stack(x.chunk(2, 3), 1).flatten(0, 1)).mean((2, 3))
        return self.head(sides.unflatten(0, (-1, 2)).sum(1))


CASES = {
    "tokens": (
        Tokens,
        {
            "patches": -3,
            "norm": -1,
            "mlp": -1,
            "mlp.0": -1,
            "mlp.1": -1,
            "mlp.2": -1,
            "mlp.3": -1,
            "head": -1,
        },
    ),
    "channels last": (
        ChannelsLast,
        {"stem": -3, "depthwise": -3, "block": -1, "block.0": -1, "block.1": -1, "block.2": -1, "relu": -3},
    ),
    "mixer": (Mixer, {"patches": -3, "norm": -1, "tokens": -1, "channels": -1}),
    "halves": (Halves, {"convolution": -3, "head": -1}),
}


def _made(name: str) -> tuple[nn.Module, Tensor, dict[str, int]]:
    make, axes = CASES[name]
    torch.manual_seed(0)
    return make().eval(), torch.randn(2, 3, 8, 8), axes


@pytest.mark.parametrize("name", CASES)
def test_the_axis_of_the_channels_is_known(name: str) -> None:
    model, images, axes = _made(name)
    lrp = hudd.LRP(model, rules="epsilon", layers=list(axes))
    assert lrp.channels == {}
    lrp.prepare(images)
    assert lrp.channels == axes


@pytest.mark.parametrize("at", ["input", "output"])
@pytest.mark.parametrize("name", CASES)
def test_pooling_sums_over_space_and_over_channels(name: str, at: str) -> None:
    model, images, axes = _made(name)
    engine = hudd.LRP(model, rules="epsilon", layers=list(axes), at=at)
    whole = engine.attribute(images).layers
    channel, space = (
        hudd.LRP(model, rules="epsilon", layers=list(axes), at=at, pool=pool).attribute(images).layers
        for pool in ("channel", "space")
    )
    for layer, heatmap in whole.items():
        if heatmap.ndim > 2:
            axis = engine.channels[layer]
            wanted = heatmap.movedim(axis, 1).flatten(2).sum(2)
            torch.testing.assert_close(channel[layer], wanted, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(space[layer], heatmap.sum(axis), rtol=1e-4, atol=1e-5)


def test_a_linear_layer_over_tokens_has_a_number_a_channel() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Flatten(), nn.Linear(42, 3)).eval()
    tokens = torch.randn(2, 7, 6)
    layers = [hudd.LRP(model, pool=pool).attribute(tokens).layers["0"] for pool in ("channel", "space")]
    assert [tuple(layer.shape) for layer in layers] == [(2, 6), (2, 7)]
    layers = [Activations(model, ["0"], pool).attribute(tokens).layers["0"] for pool in ("channel", "space")]
    torch.testing.assert_close(layers, [tokens.sum(1), tokens.sum(2)])


@pytest.mark.parametrize("rules", ["cp-lrp-gamma", "attnlrp"])
def test_whatever_the_rules(rules: str) -> None:
    model, images, axes = _made("tokens")
    lrp = hudd.LRP(model, rules=rules, layers=list(axes))
    lrp.prepare(images)
    assert lrp.channels == axes
