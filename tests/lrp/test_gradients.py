"""Gradients and integrated gradients: their laws, captum's figures, and what the epsilon rule makes of them."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import hudd
from hudd.errors import UsageError
from hudd.lrp import contrast, gradient, integrated_gradients


def _net(*, bias: bool = True, activation: type[nn.Module] = nn.ReLU, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, bias=bias), activation(), nn.Flatten(), nn.Linear(64, 5, bias=bias)
        ).eval()


def _images(count: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


class Both(nn.Module):
    """Two inputs, of which the second is only added at the end, and two outputs."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (x * x).flatten(1) + y, 3 * y


def test_a_linear_model_by_hand() -> None:
    model, x = nn.Linear(3, 2).eval(), torch.randn(4, 3)
    weight = model.weight.detach()
    slopes = gradient(model, x, [0, 1, 1, 0])
    torch.testing.assert_close(slopes, weight[[0, 1, 1, 0]])
    times = gradient(model, x, [0, 1, 1, 0], times_input=True)
    torch.testing.assert_close(times, slopes * x)
    torch.testing.assert_close(integrated_gradients(model, x, [0, 1, 1, 0], steps=1), times)
    by_contrast = gradient(model, x, contrast(0, 1))
    torch.testing.assert_close(by_contrast, (weight[0] - weight[1]).expand(4, 3))
    assert model.weight.grad is None
    assert not x.requires_grad


@given(st.integers(0, 1000), st.floats(-2, 2))
def test_integrated_gradients_sum_to_the_difference_of_the_outputs(seed: int, baseline: float) -> None:
    model, x = _net(activation=nn.Tanh, seed=seed).double(), _images(seed=seed).double()
    target = model(x).argmax(1)
    found = integrated_gradients(model, x, target, baseline=baseline, steps=40)
    assert isinstance(found, Tensor)
    outputs = [model(each).gather(1, target[:, None])[:, 0] for each in (x, torch.full_like(x, baseline))]
    torch.testing.assert_close(found.flatten(1).sum(1), (outputs[0] - outputs[1]).detach(), rtol=0, atol=1e-4)
    torch.testing.assert_close(integrated_gradients(model, x, baseline=baseline, steps=40), found)


@given(st.integers(0, 1000))
def test_an_image_does_not_depend_on_its_batch(seed: int) -> None:
    model, x = _net(seed=seed), _images(4, seed)
    for explain in (gradient, integrated_gradients):
        torch.testing.assert_close(explain(model, x)[1:2], explain(model, x[1:2]))


def test_the_epsilon_rule_is_gradient_times_input_without_biases() -> None:
    model, x = _net(bias=False), _images()
    relevance = hudd.LRP(model, rules="epsilon").attribute(x).input
    torch.testing.assert_close(relevance, gradient(model, x, times_input=True), rtol=1e-3, atol=1e-5)


def test_several_inputs_and_outputs() -> None:
    x, y = torch.randn(2, 3, 1), torch.randn(2, 3)
    by_x, by_y = gradient(Both(), [x, y], lambda outputs: [None, outputs[1]])
    assert not by_x.any()
    assert torch.equal(by_y, torch.full_like(y, 3.0))
    by_x, by_y = integrated_gradients(Both(), [x, y], 1, baseline=[torch.ones(1), 0.0])
    torch.testing.assert_close(by_x[:, 1, 0], x[:, 1, 0] ** 2 - 1)
    torch.testing.assert_close(by_y[:, 1], y[:, 1])


def test_a_model_may_write_over_its_input() -> None:
    assert torch.equal(
        gradient(nn.ReLU(inplace=True), torch.tensor([[1.0, -1]]), 0), torch.tensor([[1.0, 0]])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, but must be at least 1"),
        ({"baseline": torch.zeros(3, 5)}, r"does not fit inputs of shape \(3, 2, 6, 6\)"),
        ({"baseline": [0.0, 1.0]}, "2 baselines for 1 inputs"),
        ({"target": 9}, "target 9 is outside the 5 outputs"),
    ],
)
def test_wrong_calls_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        integrated_gradients(_net(), _images(), **options)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_captum_agrees(captum: ModuleType, activation: type[nn.Module]) -> None:
    model, x = _net(activation=activation), _images()
    target, baseline = torch.tensor([4, 0, 2]), torch.randn(1, 2, 1, 1)
    integrated = captum.IntegratedGradients(model).attribute(x, baseline.expand_as(x), target, n_steps=50)
    torch.testing.assert_close(
        integrated_gradients(model, x, target, baseline=baseline), integrated, rtol=1e-4, atol=1e-5
    )
    times = captum.InputXGradient(model).attribute(x.clone().requires_grad_(), target).detach()
    torch.testing.assert_close(gradient(model, x, target, times_input=True), times)
