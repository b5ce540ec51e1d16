"""Choices among numbers, fillings and class tokens, against their formulas in NumPy and float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hudd

Array = np.ndarray
MASK = np.array([True, False, True, True, False])


class Chooser(nn.Module):
    """A linear layer, a choice among its numbers, another linear layer."""

    def __init__(self, choose: Callable[[Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5, bias=False), nn.Linear(width, 3, bias=False)
        self.choice = nn.Module()
        self.choice.forward = choose  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.choice(self.first(x)))


def _scattered(relevance: Array, winners: Array) -> Array:
    sent = np.zeros((len(relevance), 5))
    np.put_along_axis(sent, winners, relevance, 1)
    return sent


# What torch computes, what NumPy computes, and which numbers of (N, 5) get which relevance of the choice's output.
CASES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "masked_fill": (
        lambda y: y.masked_fill(torch.from_numpy(~MASK), 0.7),
        lambda y: np.where(MASK, y, 0.7),
        lambda y, r: np.where(MASK, r, 0),
    ),
    "where with a condition on the input": (
        lambda y: torch.where(y > 0.2, y, torch.full_like(y, 0.2)),
        lambda y: np.where(y > 0.2, y, 0.2),
        lambda y, r: np.where(y > 0.2, r, 0),
    ),
    "where of both": (lambda y: torch.where(y > 0, y, -2 * y), lambda y: np.where(y > 0, y, -2 * y), lambda y, r: r),
    "maximum with a constant": (
        lambda y: torch.maximum(y, torch.tensor(0.3)),
        lambda y: np.maximum(y, 0.3),
        lambda y, r: np.where(y > 0.3, r, 0),
    ),
    "greatest": (
        lambda y: y.amax(1, keepdim=True),
        lambda y: y.max(1, keepdims=True),
        lambda y, r: _scattered(r, y.argmax(1)[:, None]),
    ),
    "two greatest": (
        lambda y: y.topk(2, dim=1)[0],
        lambda y: -np.sort(-y, 1)[:, :2],
        lambda y, r: _scattered(r, np.argsort(-y, 1)[:, :2]),
    ),
    "class token": (
        lambda y: torch.cat([torch.full_like(y[:, :1], 0.4), y], 1),
        lambda y: np.concatenate([np.full((len(y), 1), 0.4), y], 1),
        lambda y, r: r[:, 1:],
    ),
    "masked by the input's sign": (lambda y: y * (y > 0), lambda y: y * (y > 0), lambda y, r: r * (y > 0)),
    "clamp": (lambda y: y.clamp(-0.1, 0.5), lambda y: y.clip(-0.1, 0.5), lambda y, r: r),
    "clamp from above": (lambda y: y.clamp(max=0.5), lambda y: np.minimum(y, 0.5), lambda y, r: r),
    "hardtanh": (lambda y: nn.functional.hardtanh(y), lambda y: y.clip(-1, 1), lambda y, r: r),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_numpy(name: str) -> None:
    choose, chosen, sent_back = CASES[name]
    torch.manual_seed(0)
    width = chosen(np.zeros((1, 5))).shape[1]
    model, x = Chooser(choose, width).eval(), torch.randn(6, 4)
    relevance = hudd.LRP(model, rules="zero", layers=["choice", "first"], bias_share=True).attribute(x, 1)

    first, last = (layer.weight.detach().double().numpy() for layer in (model.first, model.last))
    y = x.double().numpy() @ first.T
    z = chosen(y)
    np.testing.assert_allclose(relevance.output.numpy(), z @ last.T, rtol=1e-4, atol=1e-5)
    at_choice = z * last[1]  # LRP-0 of one output: its summands
    expected = sent_back(y, at_choice)
    np.testing.assert_allclose(relevance.layers["choice"].numpy(), expected, rtol=1e-3, atol=1e-5)
    explained = relevance.explained.numpy()
    absorbed = (at_choice.sum(1) - expected.sum(1)) / abs(explained)
    scale = 1e-4 * abs(at_choice).sum(1).max() / abs(explained).min()
    np.testing.assert_allclose(relevance.bias_share["choice"].numpy(), absorbed, atol=scale)
    np.testing.assert_allclose(relevance.conservation["choice"].numpy(), -absorbed, atol=scale)


@pytest.mark.slow
def test_clamps_are_one_whatever_they_are_called() -> None:
    """relu6, hardtanh(0, 6) and clamp(0, 6); clamp(min=0) and relu."""
    torch.manual_seed(1)
    first, last = nn.Conv2d(2, 4, 3), nn.Linear(4 * 16, 3)
    x = 6 * torch.randn(4, 2, 6, 6)

    def heatmap(activation: Callable[[Tensor], Tensor]) -> Tensor:
        middle = nn.Module()
        middle.forward = activation  # type: ignore[method-assign]
        net = nn.Sequential(first, middle, nn.Flatten(), last).eval()
        found = hudd.LRP(net, rules="epsilon-plus").attribute(x, 0).input
        assert found is not None
        return found

    functional = nn.functional
    same = [
        [functional.relu6, lambda t: functional.hardtanh(t, 0.0, 6.0), lambda t: t.clamp(0, 6)],
        [functional.relu, lambda t: t.clamp(min=0), lambda t: torch.clamp_min(t, 0.0)],
    ]
    for activations in same:
        wanted, *others = map(heatmap, activations)
        for other in others:
            torch.testing.assert_close(other, wanted, rtol=1e-5, atol=1e-6)


def test_a_standardized_weight_is_a_constant() -> None:
    """Weights that forward standardizes by a batch norm over themselves, as normalizer-free networks do."""

    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = nn.functional.batch_norm(
                self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0
            ).reshape_as(self.weight)
            return self._conv_forward(x, weight, self.bias)

    torch.manual_seed(2)
    model = nn.Sequential(
        Standardized(3, 4, 3, bias=False), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 16, 3, bias=False)
    )
    x = torch.randn(4, 3, 6, 6)
    relevance = hudd.LRP(model.eval(), rules="zero").attribute(x)
    torch.testing.assert_close(relevance.output, model(x).detach())
    assert relevance.input is not None
    torch.testing.assert_close(
        relevance.input.double().sum((1, 2, 3)), relevance.explained, rtol=1e-4, atol=1e-5
    )
