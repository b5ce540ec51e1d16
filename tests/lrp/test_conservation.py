"""What enters at the output leaves at the input: the sum of relevance at every layer is what is explained.

A law without biases; with them the sum of what arrives and of what biases absorbed. Not a law for

- alpha-beta with beta > 0: an output whose contributions all have one sign gets alpha, or -beta, times its relevance;
- flat, w-square and z-box over zeros: they give relevance to inputs that are zero, and an average of zeros, or a
  linear layer's output of zero, has no summand in proportion to which it could go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import hudd
from hudd.capture import RelevanceGraph, capture

RELATIVE = 1e-4  # of what is explained, per sample, in float32
CANCELLED = 0.05  # where what is explained is a smaller share of the relevance that crosses: of this share

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.slow,
]
# The same examples always, and no search for a smaller one: each costs a capture.
lawful = settings(deadline=None, max_examples=10, derandomize=True, phases=[Phase.generate])

SIGNED_RULES = ["epsilon", "zero", "gamma", "gamma(2)"]  # conserve whatever the signs
RULES = [*SIGNED_RULES, "epsilon-plus", "z-plus", "alpha-beta(1, 0)"]
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
ADAPTIVE_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
SIZE = {1: 17, 2: 9, 3: 8}
RECTIFIERS: list[Callable[[], nn.Module]] = [nn.ReLU, lambda: nn.ReLU(inplace=True), nn.ReLU6]
ACTIVATIONS: list[Callable[[], nn.Module]] = [
    *RECTIFIERS, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Softplus, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.LogSigmoid, nn.Hardtanh, nn.RReLU, nn.Identity, nn.Dropout,
]  # fmt: skip


def assert_conserves(model: nn.Module, x: Tensor, rules: object, target: object = None) -> None:
    """Every sample, at the input and at every layer."""
    relevance = hudd.LRP(model, rules=rules).attribute(x, target)  # type: ignore[arg-type]
    assert relevance.input is not None
    assert relevance.layers
    heatmaps = {"input": relevance.input, **relevance.layers}
    sums = {name: heatmap.double().flatten(1).sum(1) for name, heatmap in heatmaps.items()}
    crossing = torch.stack([heatmap.double().flatten(1).abs().sum(1) for heatmap in heatmaps.values()]).amax(
        0
    )
    explained = relevance.explained
    room = RELATIVE * torch.maximum(explained.abs(), CANCELLED * crossing)
    for name, total in sums.items():
        if not _is_branch(name):  # a side branch carries but a part of the whole
            share = float(((total - explained).abs() / room).max())
            assert share <= 1, f"{rules}: {name} is off by {share:.1f} times what is allowed"
    for name, leak in relevance.conservation.items():
        share = float(((leak * explained).abs() / room).max())
        assert share <= 1, f"{rules}: {name} keeps or makes {share:.1f} times what is allowed"


def _is_branch(name: str) -> bool:
    return any(part.startswith("branch") for part in name.split("."))


def _settled(model: nn.Module) -> nn.Module:
    """Without shifts in batch norms, with scales."""
    for module in model.modules():
        if isinstance(module, tuple(NORM.values())):
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
    return model


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + x


class Concatenated(nn.Module):
    def __init__(self, branch: nn.Module, axis: int = 1) -> None:
        super().__init__()
        self.branch, self.axis = branch, axis

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x), x], self.axis)


class Rearranged(nn.Module):
    """Permuted, cut, mirrored and put together again."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        left, right = x.chunk(2, 1)
        x = torch.cat([right.flip(2), left], 1)
        return x.flatten(2).transpose(1, 2).reshape(x.shape[0], 2, -1)


def _convolution(draw: st.DrawFn, axes: int, channels: int, out: int) -> nn.Module:
    groups = draw(st.sampled_from([1, 2]))
    options: dict[str, Any] = {"groups": groups, "bias": False}
    if draw(st.booleans()):
        kernel = draw(st.sampled_from([2, 3, 4]))
        return CONV[axes](channels, out, kernel, padding="same", **options)
    kernel = tuple(draw(st.integers(2, 3)) for _ in range(axes))
    options["stride"] = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    options["dilation"] = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    options["padding"] = tuple(draw(st.integers(0, 1)) for _ in range(axes))
    return CONV[axes](channels, out, kernel, **options)


def _pool(draw: st.DrawFn, axes: int) -> nn.Module:
    kind = draw(st.sampled_from(["max", "average", "adaptive max", "adaptive average"]))
    if kind.startswith("adaptive"):
        size = draw(st.integers(1, 3))
        return (ADAPTIVE_MAX if kind.endswith("max") else ADAPTIVE_AVERAGE)[axes](size)
    options = {
        "stride": draw(st.integers(1, 2)), "padding": draw(st.integers(0, 1)), "ceil_mode": draw(st.booleans())
    }  # fmt: skip
    if kind == "max":
        return MAX[axes](2, **options)
    return AVERAGE[axes](2, count_include_pad=draw(st.booleans()), **options)


def _middle(draw: st.DrawFn, axes: int, rectifier: Callable[[], nn.Module]) -> nn.Module:
    kind = draw(st.sampled_from(["pool", "residual", "concatenation", "transposed", "norm", "rearranged"]))
    if kind == "pool":
        return _pool(draw, axes)
    if kind == "residual":
        return Residual(nn.Sequential(CONV[axes](4, 4, 3, padding=1, bias=False), rectifier()))
    if kind == "concatenation":
        return Concatenated(nn.Sequential(CONV[axes](4, 2, 1, bias=False), rectifier()))
    if kind == "transposed":
        stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
        layer = TRANSPOSED[axes](
            4, 4, 2, stride, groups=draw(st.sampled_from([1, 2])), dilation=dilation, bias=False
        )
        return nn.Sequential(layer, rectifier())
    if kind == "norm":
        return nn.Sequential(NORM[axes](4), rectifier())
    return Rearranged()


@st.composite
def nets(draw: st.DrawFn, axes: int) -> tuple[nn.Module, Tensor]:
    """Rectified nets of every supported layer, without biases, and a batch for them."""
    torch.manual_seed(draw(st.integers(0, 10_000)))
    rectifier = draw(st.sampled_from(RECTIFIERS[:2]))
    stem = [_convolution(draw, axes, 2, 4)]
    if draw(st.booleans()):
        stem.append(NORM[axes](4))  # folded
    model = nn.Sequential(*stem, rectifier(), _middle(draw, axes, rectifier), _pool(draw, axes), nn.Flatten())
    x = 10 * torch.randn(4, 2, *[SIZE[axes]] * axes)  # large, so that epsilon's share is small
    features = _settled(model).eval()(x).shape[1]
    model.append(nn.Linear(features, 16, bias=False)).append(rectifier()).append(nn.Linear(16, 5, bias=False))
    return model.eval(), x


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture takes nearly all the time of these tests and does not depend on the rules."""
    known: dict[nn.Module, RelevanceGraph] = {}

    def remembered(model: nn.Module, example: Sequence[Tensor]) -> RelevanceGraph:
        if model not in known:
            known[model] = capture(model, example)
        return known[model]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_rectified_nets(axes: int) -> None:
    @lawful
    @given(nets(axes))
    def law(case: tuple[nn.Module, Tensor]) -> None:
        for rules in RULES:
            assert_conserves(*case, rules)

    law()


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda make: type(make()).__name__)
def test_every_activation(activation: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), activation(), nn.Conv2d(6, 4, 3, bias=False), activation(), nn.Flatten(),
        nn.Linear(4 * 16, 8, bias=False), activation(), nn.Linear(8, 3, bias=False),
    ).eval()  # fmt: skip
    for rules in ("zero", "gamma"):
        assert_conserves(model, 5 * torch.randn(8, 2, 8, 8), rules)


def test_gated_linear_units() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 12, 3, bias=False), nn.GLU(1), nn.Flatten(), nn.Linear(216, 8, bias=False)
    )
    for rules in SIGNED_RULES:
        assert_conserves(model.eval(), torch.randn(8, 2, 8, 8), rules)


def test_linear_layers_on_tokens() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 4, bias=False), nn.Flatten(),
                          nn.Linear(20, 3, bias=False))  # fmt: skip
    for rules in SIGNED_RULES:
        assert_conserves(model, 10 * torch.randn(6, 5, 6), rules)


def test_flat_rules_without_averages() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2, bias=False),
        nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 3, bias=False),
    )  # fmt: skip
    for rules in ("flat", "w-square", "epsilon-plus-flat"):
        assert_conserves(model, torch.randn(6, 3, 12, 12), rules)


def test_box_rule_on_pixels() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 9, 3, bias=False),
    )
    assert_conserves(model, torch.rand(6, 3, 8, 8), "epsilon-gamma-box")
    assert_conserves(model, 4 * torch.rand(6, 3, 8, 8) - 2, {"0": "z-box(-2, 2)", "*": "epsilon"})


def test_alpha_beta_conserves_where_both_signs_contribute() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(200, 60, bias=False), nn.ReLU(), nn.Linear(60, 40, bias=False), nn.ReLU(),
                          nn.Linear(40, 4, bias=False))  # fmt: skip
    assert_conserves(model, 10 * torch.randn(6, 200), "alpha-beta")
    assert_conserves(model, 10 * torch.randn(6, 200), "epsilon-alpha2-beta1")


def test_alpha_beta_does_not_where_one_sign_is_missing() -> None:
    model = nn.Linear(3, 1, bias=False)
    nn.init.constant_(model.weight, 0.5)
    relevance = hudd.LRP(nn.Sequential(model), rules="alpha-beta").attribute(torch.ones(1, 3))
    assert relevance.input is not None
    torch.testing.assert_close(relevance.input.sum(), 2 * relevance.explained.float()[0])


def test_negative_contributions_take_what_no_positive_one_can() -> None:
    """The formula of z-plus alone would pass on nothing."""
    model = nn.Linear(2, 4, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 3.0], [-1.0, -3.0], [-2.0, 6.0], [0.0, 0.0]]))
    lrp = hudd.LRP(nn.Sequential(model), rules="z-plus")
    sent = [lrp.attribute(torch.ones(1, 2), lambda y, k=k: nn.functional.one_hot(torch.tensor([k]), 4) * 8.0).input
            for k in range(4)]  # fmt: skip
    expected = [[2.0, 6.0], [2.0, 6.0], [0.0, 8.0], [0.0, 0.0]]
    torch.testing.assert_close(torch.cat(sent), torch.tensor(expected))  # type: ignore[arg-type]


def test_relevance_goes_to_contributions_of_one_sign() -> None:
    """Also where the positive ones are no larger than the stabilizer."""
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[5e-7, -1.0]]))
    relevance = hudd.LRP(nn.Sequential(model), rules="z-plus").attribute(torch.ones(1, 2))
    torch.testing.assert_close(relevance.input, torch.tensor([[0.0, -1.0]]))


def test_a_bias_takes_its_share() -> None:
    model = nn.Linear(2, 1)
    nn.init.constant_(model.weight, 1.0)
    nn.init.constant_(model.bias, 2.0)
    relevance = hudd.LRP(nn.Sequential(model), rules="zero").attribute(torch.ones(1, 2))
    assert relevance.input is not None
    torch.testing.assert_close(relevance.input.sum(), torch.tensor(2.0))
    torch.testing.assert_close(relevance.conservation["0"], torch.tensor([-0.5], dtype=torch.float64))
    assert relevance.bias_share == {}
    asked = hudd.LRP(nn.Sequential(model), rules="zero", bias_share=True).attribute(torch.ones(1, 2))
    torch.testing.assert_close(asked.bias_share["0"], torch.tensor([0.5], dtype=torch.float64))


def test_a_bias_takes_its_share_of_one_number_an_image() -> None:
    class Distance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x).squeeze(1) + 0.5

    torch.manual_seed(5)
    model, x = Distance(), torch.randn(3, 6)
    relevance = hudd.LRP(model, rules="zero", bias_share=True).attribute(x, lambda y: y.clone())
    share = relevance.bias_share["linear"] * relevance.explained.abs()
    bias = model.linear.bias.detach().double().expand(3)
    torch.testing.assert_close(share, bias, rtol=1e-5, atol=1e-5)


def test_bias_shares_where_images_are_not_first() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
            self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.patches(x).flatten(2).permute(2, 0, 1)
            tokens = torch.cat([self.token.expand(1, tokens.shape[1], 8), tokens], 0)
            return self.head(self.mix(tokens).mean(0))

    torch.manual_seed(5)
    model, x = Tokens(), torch.randn(3, 3, 16, 16)
    asked, plain = (hudd.LRP(model, rules="epsilon", bias_share=asks).attribute(x) for asks in (True, False))
    for name, leak in plain.conservation.items():
        torch.testing.assert_close(asked.conservation[name], leak, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(asked.bias_share[name], -leak, rtol=1e-3, atol=1e-3)


def test_a_sum_with_a_factor() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = (nn.Linear(6, 6, bias=False) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.sub(torch.add(self.one(x), self.two(x), alpha=3.0), x, alpha=0.5))

    torch.manual_seed(5)
    relevance = hudd.LRP(Weighted(), rules="epsilon").attribute(10 * torch.randn(8, 6))
    assert relevance.input is not None
    sums = relevance.input.double().sum(1)
    torch.testing.assert_close(sums, relevance.explained, rtol=RELATIVE, atol=1e-3)
