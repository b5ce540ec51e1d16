"""What becomes of the share of biases, and what is left of the explained output on the way to the input."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import hudd
from hudd.errors import HuddWarning, UsageError
from hudd.lrp.bias import BIASES


class ClassToken(nn.Module):
    """Constants of every kind: biases, a class token, places, shifts of norms."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 5, 8))
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        tokens = torch.cat([self.token.expand(x.shape[0], 1, 8), tokens], 1) + self.places
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head(self.mix(tokens).relu()[:, 0])


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inside, self.after = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = self.after(x + self.inside(x)).relu() + 0.25
        return self.head(x.mean((2, 3)))


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU(),
                         nn.Flatten(), nn.LazyLinear(7), nn.ReLU(), nn.Linear(7, 5))  # fmt: skip


NETWORKS = {"plain": plain, "residual": Residual, "tokens": ClassToken}


def network(name: str, size: float = 0.3) -> tuple[nn.Module, Tensor]:
    """With biases that matter."""
    torch.manual_seed(4)
    model, x = NETWORKS[name](), torch.randn(3, 3, 8, 8)
    model(x)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "bias" in key:
                value.copy_(size * torch.randn(value.shape))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr, operator]
    return model.eval(), x


def explained(model: nn.Module, x: Tensor, **options: Any) -> hudd.Relevance:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HuddWarning)
        return hudd.LRP(model, **options).attribute(x)


def reaching(found: hudd.Relevance) -> Tensor:
    return found.inputs[0].double().flatten(1).sum(1) / found.explained


CONSERVING = [
    *(
        (name, rules, "distribute")
        for name in NETWORKS
        for rules in ("epsilon", "epsilon-plus", "recommended")
    ),
    *((name, rules, "ignore") for name in ("plain", "residual") for rules in ("epsilon", "epsilon-plus")),
    *((name, "recommended", "ignore") for name in NETWORKS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rules", "bias"), CONSERVING)
def test_all_relevance_reaches_the_input(name: str, rules: str, bias: str) -> None:
    model, x = network(name)
    assert (reaching(explained(model, x, rules=rules)) - 1).abs().max() > 1e-2  # there is something to share
    found = explained(model, x, rules=rules, bias=bias)
    torch.testing.assert_close(reaching(found), torch.ones_like(found.explained), rtol=1e-4, atol=1e-4)
    for gone in found.cumulative.values():
        torch.testing.assert_close(gone, torch.zeros_like(gone), rtol=0, atol=1e-4)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 4), st.floats(0, 10), st.integers(0, 2**16))
def test_a_linear_layer_shares_its_bias(inputs: int, outputs: int, size: float, seed: int) -> None:
    """By the formula, whatever the signs; also where all inputs are zero."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, inputs, generator=generator))
        layer.bias.copy_(size * torch.randn(outputs, generator=generator))
    x = torch.randn(2, inputs, generator=generator).round(decimals=1)
    x[1] = 0
    found = explained(nn.Sequential(layer), x, rules="epsilon(1e-9)", bias="distribute")
    z = layer(x).detach().double()
    row = z.argmax(1)
    weight, bias = layer.weight.detach().double()[row], layer.bias.detach().double()[row, None]
    parts = (weight * x).abs()
    local = bias * parts / torch.maximum(parts.sum(1, keepdim=True), bias.abs()).clamp(min=1e-6)
    left = bias - local.sum(1, keepdim=True)
    magnitude = torch.where(x.abs().sum(1, keepdim=True) > 0, x.abs(), 1)
    expected = weight * x + local + left * magnitude / magnitude.sum(1, keepdim=True)
    assert found.input is not None
    torch.testing.assert_close(found.input.double(), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.input.double().sum(1), found.explained, rtol=1e-3, atol=1e-4)


def test_a_denominator_without_the_bias() -> None:
    layer, x = nn.Linear(2, 1), torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 1.0]]))
        layer.bias.fill_(3.0)
    found = explained(nn.Sequential(layer), x, rules="epsilon", bias="ignore")
    expected = torch.tensor([[2.0, 4.0], [1.5, 1.5]])  # nothing contributes: equal shares
    torch.testing.assert_close(found.input, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("bias", BIASES)
def test_no_policy_changes_a_network_without_biases(bias: str) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3, bias=False)
    )
    model(x := torch.randn(2, 3, 8, 8))
    ours, theirs = (explained(model, x, rules="epsilon-plus", bias=which) for which in (bias, "absorb"))
    torch.testing.assert_close(ours.input, theirs.input, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("options", [{}, {"recompute": True}, {"pool": "channel"}, {"layers": ["0", "3"]}])
def test_cumulative_is_what_the_heatmaps_sum_to(bias: str, options: dict[str, Any]) -> None:
    model, x = network("plain")
    found = explained(model, x, rules="epsilon-plus", bias=bias, **options)
    for name, heatmap in found.layers.items():
        left = heatmap.double().flatten(1).sum(1) / found.explained
        torch.testing.assert_close(1 + found.cumulative[name], left, rtol=1e-5, atol=1e-5)
    if "layers" not in options:
        torch.testing.assert_close(1 + found.cumulative["input"], reaching(found), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_cumulative_counts_every_branch() -> None:
    """What a block's branch loses, and nothing for what goes around it."""
    model, x = network("residual")
    found = explained(model, x, rules="epsilon")
    gone = found.cumulative
    assert list(found.layers) == ["stem", "inside", "after", "head"]
    torch.testing.assert_close(gone["inside"] - gone["after"], signed(found, "inside"), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gone["stem"] - gone["inside"], signed(found, "stem"), rtol=1e-3, atol=1e-4)
    alone = explained(model, x, rules="epsilon", layers=["inside"]).cumulative
    torch.testing.assert_close(alone["inside"], gone["inside"], rtol=1e-5, atol=1e-5)


def signed(found: hudd.Relevance, name: str) -> Tensor:
    return found.conservation[name] * found.explained.sign()


def test_a_bias_that_adds_is_not_lost() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 1.0]]))
        layer.bias.fill_(-1.0)
    found = explained(nn.Sequential(layer), torch.tensor([[1.0, 2.0], [0.25, 0.25]]), rules="zero")
    expected = torch.tensor([0.5, -2.0], dtype=torch.float64)  # 3 of 2; 0.5 of -0.5
    torch.testing.assert_close(found.cumulative["0"], expected)
    torch.testing.assert_close(found.cumulative["input"], expected)


def swallowing() -> tuple[nn.Module, Tensor]:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.fill_(0.01)
            layer.bias.fill_(1.0)
    return model, torch.ones(2, 4)


def test_little_that_is_left_is_told_once() -> None:
    model, x = swallowing()
    lrp = hudd.LRP(model)
    with pytest.warns(
        HuddWarning, match=r"only 0\.\d+% .* reach 'input'; most is absorbed by '2'.*bias='distribute'"
    ):
        lrp.attribute(x)
    lrp.attribute(x)
    hudd.LRP(model, bias="distribute").attribute(x)
    hudd.LRP(model, layers=["2"]).attribute(5000 * x)


def test_policies_that_there_are() -> None:
    with pytest.raises(UsageError, match="bias must be one of absorb, ignore, distribute, but it is 'share'"):
        hudd.LRP(nn.Linear(2, 2), bias="share")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be recorded; leave out cuda_graphs or bias"):
        hudd.LRP(nn.Linear(2, 2), bias="ignore", cuda_graphs=True)
