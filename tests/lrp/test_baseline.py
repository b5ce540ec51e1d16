"""Relevance of what sets images apart from a baseline, against the formula and by the laws it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

import hudd
from hudd.errors import UnsupportedOperation, UsageError
from hudd.lrp.baseline import blurred, inputs_of

CLASSES = torch.tensor([0, 3, 1])


class Rectified(nn.Sequential):
    """Convolutions, rectifiers, linear layers: what the formula below covers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(),
            nn.Flatten(), nn.Linear(4 * 36, 7), nn.ReLU(), nn.Linear(7, 5),
        )  # fmt: skip


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inside, self.pool = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.AvgPool2d(2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.silu(self.norm(self.stem(x)))
        x = torch.cat([x[:, :4], self.pool(x + self.inside(x)).repeat(1, 1, 2, 2)[:, 4:]], 1) + 0.25
        return self.head(x.mean((2, 3)))


class Choices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        first, second = nn.functional.max_pool2d(x, 3, 2, 1), nn.functional.adaptive_max_pool2d(x, 4)
        least = -torch.minimum(first, second).amin(3)
        best = torch.maximum(first, second).flatten(2)
        return self.head(torch.cat([least.amax(2), best.max(2).values], 1))

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(12, 5)


class Best(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.topk(2).values


class Gated(nn.Module):
    """Squeeze and excitation, attention, norms of both kinds: gates that are signals in differences."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.groups = nn.Conv2d(3, 8, 2, 2), nn.GroupNorm(2, 8)
        self.gate, self.norm = nn.Conv2d(8, 8, 1), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.groups(self.stem(x))
        x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        tokens = x.flatten(2).mT
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head(nn.functional.gelu(tokens).mean(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "rectified": Rectified,
    "residual": Residual,
    "choices": Choices,
    "gated": Gated,
}


def made(network: Callable[[], nn.Module], seed: int = 0) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    model = network().eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model, torch.randn(3, 3, 8, 8)


def rescale(model: nn.Sequential, x: Tensor, base: Tensor, classes: Tensor) -> Tensor:
    """DeepLIFT's rescale rule in float64: multipliers through linear maps, and quotients of differences."""
    x, base = x.double(), base.double()
    layers = [layer.double() for layer in model]
    ours, others = [x], [base.expand_as(x)]
    for layer in layers:
        ours.append(layer(ours[-1]))
        others.append(layer(others[-1]))
    multiplier = torch.zeros_like(ours[-1]).scatter(1, classes[:, None], 1.0)
    for at in reversed(range(len(layers))):
        if isinstance(layers[at], nn.ReLU):
            before, after = ours[at] - others[at], ours[at + 1] - others[at + 1]
            multiplier = multiplier * torch.where(before == 0, 0, after / before)
        else:
            with torch.enable_grad():
                leaf = ours[at].detach().requires_grad_()
                (multiplier,) = torch.autograd.grad(layers[at](leaf), leaf, multiplier)
    model.float()
    return multiplier * (x - base)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_the_epsilon_rule_gives_what_the_rescale_rule_does(seed: int) -> None:
    model, x = made(Rectified, seed)
    base = torch.randn(3, 8, 8)
    expected = rescale(model, x, base, CLASSES)  # type: ignore[arg-type]
    lrp = hudd.LRP(model, rules="epsilon(1e-9)", layers=["input"], baseline=base)
    found = lrp.attribute(x, CLASSES).input
    # differences of nearly equal numbers have few digits, so that a quotient of them does
    torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=2e-4 * expected.abs().max().item())


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rules", ["epsilon", "epsilon-plus", "epsilon-gamma", "epsilon-plus-flat"])
def test_relevance_sums_to_the_difference_of_the_outputs(name: str, rules: str) -> None:
    model, x = made(NETWORKS[name], seed=len(rules))
    base = torch.rand(3, 1, 1) - 0.5
    found = hudd.LRP(model, rules, baseline=base).attribute(x, CLASSES)
    expected = (model(x) - model(base.expand_as(x))).gather(1, CLASSES[:, None])[:, 0].double()
    torch.testing.assert_close(found.explained, expected, rtol=1e-5, atol=1e-6)
    size = found.input.abs().sum((1, 2, 3)).double() + 1
    assert ((found.input.double().sum((1, 2, 3)) - expected).abs() / size).max() < 3e-5
    torch.testing.assert_close(found.output, model(x))


@torch.no_grad()
@pytest.mark.parametrize("network", NETWORKS.values())
def test_an_image_does_not_differ_from_itself(network: Callable[[], nn.Module]) -> None:
    model, x = made(network)
    found = hudd.LRP(model, "epsilon", baseline=lambda inputs: inputs).attribute(x)
    assert not found.input.any()
    assert not found.explained.any()


@torch.no_grad()
def test_a_linear_network_gets_its_weights_times_the_difference() -> None:
    model, x = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5)))
    found = hudd.LRP(model, "epsilon", baseline=0.5).attribute(x, CLASSES).input
    expected = model[1].weight[CLASSES].view_as(x) * (x - 0.5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_of_several_baselines_the_mean_is_told() -> None:
    model, x = made(Residual)
    single = [hudd.LRP(model, "epsilon", baseline=one).attribute(x) for one in ("mean", "blur")]
    both = hudd.LRP(model, "epsilon", baseline=["mean", "blur"]).attribute(x)
    torch.testing.assert_close(both.input, (single[0].input + single[1].input) / 2)
    torch.testing.assert_close(both.explained, (single[0].explained + single[1].explained) / 2)
    for name, heatmap in both.layers.items():
        torch.testing.assert_close(heatmap, (single[0].layers[name] + single[1].layers[name]) / 2)
        lost = sum(one.conservation[name] * one.explained.abs() for one in single) / 2
        torch.testing.assert_close(both.conservation[name] * both.explained.abs(), lost)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("baseline", ["mean", "blur", "noise", 0.1])
def test_images_are_explained_alike_in_any_company(baseline: Any) -> None:
    model, x = made(Choices)
    whole = hudd.LRP(model, "epsilon-gamma", baseline=baseline).attribute(x).input
    for row in range(len(x)):
        alone = hudd.LRP(model, "epsilon-gamma", baseline=baseline).attribute(x[row : row + 1]).input
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(
    ("image", "baseline", "expected"),
    [
        ([4.0, 3.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], [1.5, 0.5, 0.0, 0.0]),  # 4 overtakes 3 half-way
        (
            [1.0, 5.0, 2.0, 0.0],
            [4.0, 3.0, 0.0, 0.0],
            [-0.6, 1.6, 0.0, 0.0],
        ),  # 5 overtakes 4 after a fifth of the way
        ([1.0, 5.0, 2.0, 0.0], [0.0, 3.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0]),  # the same wins all the way
        (
            [1.0, 2.0, 0.0, 0.0],
            [3.0, 3.0, 3.0, 3.0],
            [0.0, -1.0, 0.0, 0.0],
        ),  # of equal numbers none is the winner
    ],
)
def test_a_maximum_is_shared_by_the_winners_on_the_way(
    image: list[float], baseline: list[float], expected: list[float]
) -> None:
    pool = nn.Sequential(nn.MaxPool2d(2), nn.Flatten())
    x, base = (torch.tensor(numbers).view(1, 1, 2, 2) for numbers in (image, baseline))
    found = hudd.LRP(pool, "epsilon", layers=["input"], baseline=base).attribute(x, 0).input.flatten()
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_heads_and_callables_explain_what_they_do_without_a_baseline() -> None:
    model, x = made(Rectified)
    head = nn.Sequential(*model, nn.Softmax(1))
    plain = hudd.LRP(model, "epsilon", baseline=0.0).attribute(x, CLASSES)
    behind = hudd.LRP(head, "epsilon", baseline=0.0).attribute(x, CLASSES)
    torch.testing.assert_close(behind.input, plain.input)
    assert "softmax" in behind.head
    chosen = torch.zeros(3, 5).scatter(1, CLASSES[:, None], 1.0)
    called = hudd.LRP(model, "epsilon", baseline=0.0).attribute(x, lambda output: output * chosen)
    torch.testing.assert_close(called.input, plain.input)


def test_blurred_images_are_scipy_s() -> None:
    x = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, 3, 3), mode="nearest")
    np.testing.assert_allclose(blurred(x).numpy(), expected, atol=1e-12)
    (mean,) = inputs_of("mean", (x,))
    assert torch.allclose(mean[:, :, 3, 5], x.mean((2, 3)))


def test_noise_has_the_colours_of_the_image_and_is_the_same_in_any_company() -> None:
    x = 3 + 2 * torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (found,) = inputs_of("noise", (x,))
    torch.testing.assert_close(found.mean((2, 3)), x.mean((2, 3)), rtol=0, atol=0.3)
    torch.testing.assert_close(found.std((2, 3)), x.std((2, 3)), rtol=0.1, atol=0)
    (alone,) = inputs_of("noise", (x[2:3],))
    torch.testing.assert_close(alone[0], found[2])


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ("grey", "must be 'mean', 'blur', 'noise'"),
        ([], "the list of baselines is empty"),
        (torch.zeros(2, 8, 8), r"shape \(2, 8, 8\)"),
        (float("nan"), "not finite"),
        (lambda inputs: inputs[:, :, :4], r"shape \(3, 3, 4, 8\)"),
    ],
)
def test_what_is_no_baseline_is_refused(baseline: Any, words: str) -> None:
    model, x = made(Rectified)
    with pytest.raises(UsageError, match=words):
        hudd.LRP(model, "epsilon", baseline=baseline).attribute(x)


@pytest.mark.parametrize(
    "options", [{"bias": "distribute"}, {"bias_share": True}, {"recompute": True}, {"cuda_graphs": True}]
)
def test_options_without_effect_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="leave out"):
        hudd.LRP(Rectified(), baseline="mean", **options)


def test_rules_without_meaning_in_differences_are_refused() -> None:
    model, x = made(Rectified)
    with pytest.raises(UsageError, match="z-box"):
        hudd.LRP(model, "epsilon-gamma-box", baseline="mean").attribute(x)
    best = nn.Sequential(nn.Conv2d(3, 4, 3), Best(), nn.Flatten(), nn.Linear(4 * 6 * 2, 5))
    with pytest.raises(UnsupportedOperation, match="topk"):
        hudd.LRP(best, "epsilon", baseline="mean").attribute(x)
    with pytest.raises(UsageError, match="attention is exact by every composite, and 'attnlrp'"):
        hudd.LRP(made(Gated)[0], "attnlrp", baseline="mean")


def test_flat_inputs_have_no_mean_colour() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    for name in ("mean", "blur", "noise"):
        with pytest.raises(UsageError, match=r"\(2, 4\)"):
            hudd.LRP(model, "epsilon", baseline=name).attribute(torch.zeros(2, 4))


def test_recommended_rules_against_a_baseline() -> None:
    model, x = made(Residual)
    lrp = hudd.LRP(model, "recommended", baseline="mean")
    lrp.prepare(x)
    assert lrp.composite.name == "epsilon"
