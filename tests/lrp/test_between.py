"""Operations in differences: attention, gates and norms against their formulas in NumPy, and by the laws they keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

import hudd
from hudd.lrp import Composite, Epsilon

Array = np.ndarray
EXACT = Composite("exact", Epsilon(1e-30), Epsilon(1e-30), epsilon=1e-30)


class Weighted(nn.Module):
    """Softmax weights of the first half of the input, over the second."""

    def __init__(self, mask: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        logits, value = x.chunk(2, 1)
        if self.mask is not None:
            logits = logits + self.mask
        return (logits.softmax(1) * value).sum(1, keepdim=True)


class Product(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return (first * second).sum(1, keepdim=True)


class Matrices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.view(-1, 2, 3, 3).unbind(1)
        return (first @ second).flatten(1).sum(1, keepdim=True)


class Greatest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return torch.maximum(first, second).view(-1, 2, 2).amax(2).amin(1, keepdim=True)


class Excited(nn.Module):
    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.inner, self.gate = nn.Linear(6, 6), gate

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.gate(self.inner(x))).sum(1, keepdim=True)


class Normed(nn.Module):
    """A norm of (N, 4, 3), with weights and a shift that are not those of a new one."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm, self.head = norm, nn.Linear(12, 1)
        for parameter in norm.parameters():
            nn.init.normal_(parameter, 1.0, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x.view(-1, 4, 3)).flatten(1))


class Attention(nn.Module):
    """Two heads over five tokens, fused or spelled out, masked or not."""

    def __init__(self, fused: bool, mask: Tensor | None = None, causal: bool = False) -> None:
        super().__init__()
        self.mixed, self.fused, self.causal = nn.Linear(4, 12), fused, causal
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mixed(x.view(-1, 5, 4)).view(-1, 5, 3, 2, 2).permute(2, 0, 3, 1, 4)
        if self.fused:
            found = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=self.mask, is_causal=self.causal
            )
        else:
            logits = query @ key.transpose(2, 3) / 2**0.5
            if self.mask is not None:
                logits = logits + self.mask
            found = logits.softmax(3) @ value
        return found.flatten(1)


class Grouped(nn.Module):
    """Four heads of queries, two of keys and values."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.mixed, self.fused = nn.Linear(4, 16), fused

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.transpose(1, 2)
            for part in self.mixed(x.view(-1, 5, 4)).view(-1, 5, 8, 2).split((4, 2, 2), 2)
        )
        if self.fused:
            found = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
        else:
            keys, values = (one[:, (0, 0, 1, 1)] for one in (key, value))
            found = (query @ keys.transpose(2, 3) / 2**0.5).softmax(3) @ values
        return found.flatten(1)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "softmax": (Weighted, 8),
    "masked softmax": (lambda: Weighted(torch.tensor([0.0, -torch.inf, 1.0, 0.0])), 8),
    "product": (Product, 8),
    "matrices": (Matrices, 18),
    "maximum": (Greatest, 8),
    "sigmoid gate": (lambda: Excited(nn.Sigmoid()), 6),
    "hard sigmoid gate": (lambda: Excited(nn.Hardsigmoid()), 6),
    "layer norm": (lambda: Normed(nn.LayerNorm(3)), 12),
    "layer norm of several axes": (lambda: Normed(nn.LayerNorm((4, 3))), 12),
    "RMS norm": (lambda: Normed(nn.RMSNorm(3)), 12),
    "group norm": (lambda: Normed(nn.GroupNorm(2, 4)), 12),
    "instance norm": (lambda: Normed(nn.InstanceNorm1d(4, affine=True)), 12),
    "attention": (lambda: Attention(True), 20),
    "causal attention": (lambda: Attention(True, causal=True), 20),
    "grouped attention": (lambda: Grouped(True), 20),
    "masked attention": (lambda: Attention(True, torch.eye(5) < 0.5), 20),
}


def made(name: str, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(seed)
    make, width = NETWORKS[name]
    model = make().eval()
    return model, torch.randn(6, width), torch.randn(6, width)


@torch.no_grad()
def explained(model: nn.Module, x: Tensor, base: Tensor, target: int = 0) -> Array:
    lrp = hudd.LRP(model, EXACT, layers=["input"], baseline=base)
    found = lrp.attribute(x, target).input
    assert found is not None
    return found.double().numpy()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(2))
@torch.no_grad()
def test_relevance_sums_to_the_difference_of_the_outputs(name: str, seed: int) -> None:
    model, x, base = made(name, seed)
    found = explained(model, x, base)
    expected = (model(x) - model(base))[:, 0].double().numpy()
    np.testing.assert_allclose(found.sum(1), expected, rtol=1e-4, atol=1e-5 * np.abs(found).sum(1).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_image_and_baseline_exchanged_change_the_sign(name: str) -> None:
    model, x, base = made(name)
    there, back = explained(model, x, base), explained(model, base, x)
    np.testing.assert_allclose(there, -back, rtol=1e-3, atol=1e-5 * np.abs(there).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_near_the_baseline_it_is_the_gradient_times_the_difference(name: str) -> None:
    model, x, _ = made(name)
    base = x + 1e-2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    between = ((x + base) / 2).double().requires_grad_()
    (slope,) = torch.autograd.grad(model.double()(between)[:, 0].sum(), between)
    expected = (slope * (x - base)).numpy()
    found = explained(model.float(), x, base)
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_attention_is_the_same_fused_and_spelled_out() -> None:
    mask = torch.randn(5, 5)
    for both in ((Attention(True), Attention(False)), (Attention(True, mask), Attention(False, mask)),
                 (Grouped(True), Grouped(False))):  # fmt: skip
        fused, spelled = both[0].eval(), both[1].eval()
        spelled.load_state_dict(fused.state_dict())
        x, base = torch.randn(2, 3, 20)
        for target in (0, 7):
            ours, others = explained(fused, x, base, target), explained(spelled, x, base, target)
            np.testing.assert_allclose(ours, others, rtol=1e-3, atol=1e-5 * np.abs(ours).max())


def weighted(x: Array, base: Array) -> Array:
    """The formula: products by means, softmax by logarithmic means, as quotients of differences in float64."""
    (logits, value), (logits_b, value_b) = np.split(x, 2), np.split(base, 2)
    w, w_b = softmax(logits), softmax(logits_b)
    apart = np.log(w) - np.log(w_b)
    near = np.abs(apart) < 1e-6  # where a quotient has few digits; the mean errs by its square
    mean = np.where(near, (w + w_b) / 2, (w - w_b) / np.where(near, 1, apart))
    s = mean * (value + value_b) / 2
    of_logits = (s - mean * s.sum() / mean.sum()) * (logits - logits_b)
    return np.concatenate([of_logits, (w + w_b) / 2 * (value - value_b)])


@pytest.fixture(scope="module")
def softmax_lrp() -> hudd.LRP:
    """Of batches of two, each against the other; captured once."""
    return hudd.LRP(Weighted(), EXACT, layers=["input"], baseline=lambda images: images.flip(0))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-20, 20, width=32), min_size=16, max_size=16),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
@torch.no_grad()
def test_softmax_is_by_logarithmic_means(softmax_lrp: hudd.LRP, numbers: list[float], apart: float) -> None:
    x = np.array(numbers[:8], np.float32)
    base = (x + np.float32(apart) * np.array(numbers[8:], np.float32)).astype(np.float32)
    expected = weighted(x.astype(np.float64), base.astype(np.float64))
    assume(abs(expected.sum()) > 1e-3)  # of a difference that is rounding alone nothing is explained
    found = softmax_lrp.attribute(torch.from_numpy(np.stack([x, base])), 0).input
    assert found is not None
    # Differences of float32 numbers up to 40 have an error of 40 x 6e-8, times values of up to 20.
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-3, atol=1e-4)


def test_a_constant_image_has_no_deviation_to_differ() -> None:
    """Nothing is infinite where a norm divides by its epsilon alone."""
    model = Normed(nn.LayerNorm(3)).eval()
    found = explained(model, torch.ones(2, 12), torch.zeros(2, 12))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1e-4
