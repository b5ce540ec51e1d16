"""Every rule against its formula on a dense matrix, in NumPy and float64.

A convolution is unrolled to its matrix by sending unit vectors through it, so the reference knows nothing of strides,
groups or padding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.errors import UsageError
from hudd.lrp import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus
from hudd.lrp.rules import Epsilon2021, ZPlus2021

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.slow,
]

Array = np.ndarray
EPSILON = 1e-6
LOW, HIGH = -2.5, 3.0
RELATIVE = 2e-5  # of the greatest relevance of a sample


@dataclass
class Dense:
    """``z = x @ w + b`` for one sample laid out flat, and which pairs are connected at all."""

    w: Array
    b: Array

    @staticmethod
    def of(layer: nn.Module, shape: tuple[int, ...]) -> Dense:
        double = layer.double()
        size = int(np.prod(shape))
        with torch.no_grad():
            offset = double(torch.zeros(1, *shape).double()).reshape(1, -1).numpy()
            probes = double(torch.eye(size).double().reshape(size, *shape)).reshape(size, -1).numpy()
        layer.float()
        return Dense(probes - offset, offset[0])

    def forward(self, x: Array) -> Array:
        return x @ self.w + self.b


def _over(relevance: Array, z: Array) -> Array:
    return relevance / (z + EPSILON * np.where(z < 0, -1, 1))


def _up(values: Array) -> Array:
    return np.maximum(values, 0)


def _down(values: Array) -> Array:
    return np.minimum(values, 0)


def zero(layer: Dense, x: Array, relevance: Array) -> Array:
    z = layer.forward(x)
    s = np.divide(relevance, z, out=np.zeros_like(z), where=z != 0)
    return x * (s @ layer.w.T)


def epsilon(layer: Dense, x: Array, relevance: Array) -> Array:
    return x * (_over(relevance, layer.forward(x)) @ layer.w.T)


def _positive(layer: Dense, x: Array, relevance: Array) -> Array:
    w, z = layer.w, _up(x) @ _up(layer.w) + _down(x) @ _down(layer.w) + _up(layer.b)
    s = _over(relevance, z)
    return _up(x) * (s @ _up(w).T) + _down(x) * (s @ _down(w).T)


def _negative(layer: Dense, x: Array, relevance: Array) -> Array:
    w, z = layer.w, _up(x) @ _down(layer.w) + _down(x) @ _up(layer.w) + _down(layer.b)
    s = _over(relevance, z)
    return _up(x) * (s @ _down(w).T) + _down(x) * (s @ _up(w).T)


def _alpha_beta(layer: Dense, x: Array, relevance: Array, alpha: float, beta: float) -> Array:
    return alpha * _positive(layer, x, relevance) - beta * _negative(layer, x, relevance)


def alpha_beta(layer: Dense, x: Array, relevance: Array) -> Array:
    return _alpha_beta(layer, x, relevance, 2, 1)


def z_plus(layer: Dense, x: Array, relevance: Array) -> Array:
    """Negative contributions take the relevance of an output that has no positive ones."""
    above = _up(x) @ _up(layer.w) + _down(x) @ _down(layer.w) + _up(layer.b)
    lone = above <= EPSILON
    others = _positive(layer, x, np.where(lone, 0, relevance))
    return others + _negative(layer, x, np.where(lone, relevance, 0))


def gamma(layer: Dense, x: Array, relevance: Array) -> Array:
    total = np.zeros_like(x)
    for gate, same, other in ((layer.forward(x) > 0, _up, _down), (layer.forward(x) < 0, _down, _up)):
        favoured, opposed = layer.w + 0.25 * same(layer.w), layer.w + 0.25 * other(layer.w)
        z = _up(x) @ favoured + _down(x) @ opposed + layer.b + 0.25 * same(layer.b)
        s = np.where(gate, _over(relevance, z), 0)
        total += _up(x) * (s @ favoured.T) + _down(x) * (s @ opposed.T)
    return total


def z_box(layer: Dense, x: Array, relevance: Array) -> Array:
    w = layer.w
    s = _over(relevance, x @ w - LOW * _up(w).sum(0) - HIGH * _down(w).sum(0))
    return x * (s @ w.T) - LOW * (s @ _up(w).T) - HIGH * (s @ _down(w).T)


def w_square(layer: Dense, x: Array, relevance: Array) -> Array:
    squares = layer.w**2
    return _over(relevance, squares.sum(0) + layer.b**2) @ squares.T


def flat(layer: Dense, x: Array, relevance: Array) -> Array:
    connected = (layer.w != 0).astype(float)
    return _over(relevance, connected.sum(0)) @ connected.T


RULES: dict[str, tuple[Rule, Callable[[Dense, Array, Array], Array]]] = {
    "zero": (Zero(), zero),
    "epsilon": (Epsilon(), epsilon),
    "z-plus": (ZPlus(), z_plus),
    "alpha-beta": (AlphaBeta(), alpha_beta),
    "gamma": (Gamma(), gamma),
    "z-box": (ZBox(low=LOW, high=HIGH), z_box),
    "w-square": (WSquare(), w_square),
    "flat": (Flat(), flat),
}
LAYERS: dict[str, tuple[Callable[[bool], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda bias: nn.Linear(7, 5, bias=bias), (7,)),
    "linear on tokens": (lambda bias: nn.Linear(4, 3, bias=bias), (3, 4)),
    "conv1d": (lambda bias: nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2, bias=bias), (2, 8)),
    "conv2d": (lambda bias: nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 2), bias=bias), (2, 5, 6)),
    "conv2d same, even": (lambda bias: nn.Conv2d(2, 3, (2, 4), padding="same", bias=bias), (2, 4, 5)),
    "conv2d depthwise": (
        lambda bias: nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3, bias=bias),
        (3, 5, 5),
    ),
    "conv3d": (lambda bias: nn.Conv3d(2, 3, 2, padding=(1, 0, 1), bias=bias), (2, 3, 3, 2)),
    "transposed 1d": (lambda bias: nn.ConvTranspose1d(2, 3, 3, 2, 1, 1, bias=bias), (2, 5)),
    "transposed 2d": (
        lambda bias: nn.ConvTranspose2d(4, 2, 3, 2, groups=2, dilation=2, bias=bias),
        (4, 3, 2),
    ),
    "transposed 3d": (lambda bias: nn.ConvTranspose3d(2, 2, 2, 2, bias=bias), (2, 2, 2, 2)),
}
# Of the input and a parameter; the shape of the parameter, and of an input.
PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "einsum": (lambda x, w: torch.einsum("nti,ki->ntk", x, w), (5, 4), (3, 4)),
    "einsum of tokens": (lambda x, w: torch.einsum("kt,nti->nki", w, x), (5, 3), (3, 4)),
    "einsum to heads": (lambda x, w: torch.einsum("nti,hid->nhtd", x, w), (2, 4, 3), (3, 4)),
    "einsum, a matrix a channel": (
        lambda x, w: torch.einsum("nchw,ckw->nckh", x, w), (2, 5, 4), (2, 3, 4)
    ),
    "bmm, expanded": (lambda x, w: x.bmm(w.t().unsqueeze(0).expand(x.shape[0], -1, -1)), (5, 4), (3, 4)),
    "bmm, repeated": (lambda x, w: w.repeat(x.shape[0], 1, 1).bmm(x), (5, 3), (3, 4)),
    "on the left": (lambda x, w: w @ x, (5, 3), (3, 4)),
    "on the left, images as columns": (lambda x, w: (w @ x.t()).t(), (5, 4), (4,)),
    "several for one input": (lambda x, w: x.unsqueeze(1) @ w, (2, 4, 5), (3, 4)),
    "addmm, scaled": (lambda x, w: torch.addmm(w[0], x, w, beta=0.5, alpha=2), (4, 5), (4,)),
    "addmm, images as columns": (lambda x, w: torch.addmm(w[:, :1], w, x.t()).t(), (5, 4), (4,)),
}  # fmt: skip


def _assert_close(ours: Tensor, reference: Array) -> None:
    flat_ours = ours.double().flatten(1).numpy()
    scale = np.abs(reference).max(1, keepdims=True)
    assert np.isfinite(reference).all()
    assert scale.max() > 0
    worst = (np.abs(flat_ours - reference) / np.where(scale > 0, scale, 1)).max()
    assert worst <= RELATIVE, f"off by {worst:.1e}"


class Fan(nn.Module):
    """One layer once for every rule, on the input as it is and rectified; the outputs side by side.

    torch.export takes most of the time of a test, so all rules share one capture.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.signed = nn.ModuleDict({rule: copy.deepcopy(layer) for rule in RULES})
        self.rectified = nn.ModuleDict({rule: copy.deepcopy(layer) for rule in RULES})

    def forward(self, x: Tensor) -> Tensor:
        signed = [layer(x) for layer in self.signed.values()]
        return torch.stack(signed + [layer(x.relu()) for layer in self.rectified.values()], 1)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("layer", LAYERS)
def test_one_layer(layer: str, bias: bool) -> None:
    torch.manual_seed(3)
    make, shape = LAYERS[layer]
    _assert_every_rule(make(bias), shape)


@pytest.mark.parametrize("product", PRODUCTS)
def test_one_product_with_a_parameter(product: str) -> None:
    torch.manual_seed(3)
    function, weight, shape = PRODUCTS[product]
    _assert_every_rule(Product(function, weight), shape)


class Product(nn.Module):
    """A function of the input and a parameter."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


def _assert_every_rule(module: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(4, *shape)
    dense, flat_x = Dense.of(module, shape), x.double().flatten(1).numpy()
    sent = torch.randn(4, *module(x).shape[1:])
    # No relevance for outputs that cancel: the rounding of float32 would be all to be seen there.
    for part in (flat_x, _up(flat_x)):
        cancelled = np.abs(dense.forward(part)) < 0.05 * (np.abs(part) @ np.abs(dense.w) + np.abs(dense.b))
        sent[torch.from_numpy(cancelled).reshape(sent.shape)] = 0
    rules = {f"*.{name}": rule for name, (rule, _) in RULES.items()}
    lrp = hudd.LRP(Fan(module), rules=rules)
    relevance = lrp.attribute(x, lambda output: sent[:, None].expand_as(output))
    for name, (_, reference_by) in RULES.items():
        for branch, part in (("signed", flat_x), ("rectified", _up(flat_x))):
            reference = reference_by(dense, part, sent.double().flatten(1).numpy())
            _assert_close(relevance.layers[f"{branch}.{name}"], reference)


@pytest.mark.parametrize("layer", ["linear", "conv1d", "conv2d same, even", "transposed 2d"])
def test_two_layers_with_a_relu_between(layer: str) -> None:
    torch.manual_seed(4)
    make, shape = LAYERS[layer]
    first, x = make(True), torch.randn(4, *shape)
    middle = first(x).shape[1:]
    second = nn.Linear(middle.numel(), 3)
    branch = nn.Sequential(first, nn.ReLU(), nn.Flatten(), second)
    dense = Dense.of(first, shape), Dense.of(second, (middle.numel(),))
    flat_x = x.double().flatten(1).numpy()
    hidden = _up(dense[0].forward(flat_x))
    output = dense[1].forward(hidden)
    one_class = np.eye(3)[[0, 1, 2, 1]]

    explained = torch.from_numpy(one_class).float()
    rules = {f"*.{name}.*": rule for name, (rule, _) in RULES.items()}
    layers = ["signed.*.0", "signed.*.3"]
    relevance = hudd.LRP(Fan(branch), rules=rules, layers=layers).attribute(
        x, lambda y: y * explained[:, None]
    )
    np.testing.assert_allclose(relevance.output[:, 0].numpy(), output, rtol=1e-5, atol=1e-5)
    for name, (_, reference_by) in RULES.items():
        upper = reference_by(dense[1], hidden, output * one_class)
        _assert_close(relevance.layers[f"signed.{name}.3"], upper)
        _assert_close(relevance.layers[f"signed.{name}.0"], reference_by(dense[0], flat_x, upper))


def test_box_bounds_one_a_channel() -> None:
    torch.manual_seed(5)
    module, x = nn.Conv2d(3, 4, 3, bias=False), torch.rand(2, 3, 5, 5)
    low, high = (0.0, -1.0, 0.5), (1.0, 2.0, 3.0)
    ours = hudd.LRP(nn.Sequential(module), rules=ZBox(low=low, high=high)).attribute(
        x, lambda output: output.clone()
    )
    dense = Dense.of(module, (3, 5, 5))
    flat_x = x.double().flatten(1).numpy()
    lows, highs = (np.repeat(bound, 25) for bound in (low, high))
    z = flat_x @ dense.w - lows @ _up(dense.w) - highs @ _down(dense.w)
    s = _over(flat_x @ dense.w, z)
    reference = flat_x * (s @ dense.w.T) - lows * (s @ _up(dense.w).T) - highs * (s @ _down(dense.w).T)
    _assert_close(ours.layers["0"], reference)


def test_box_bounds_one_a_channel_of_tokens() -> None:
    torch.manual_seed(5)
    module, x = nn.Linear(3, 4, bias=False), torch.rand(2, 5, 3)
    low, high = (0.0, -1.0, 0.5), (1.0, 2.0, 3.0)
    ours = hudd.LRP(nn.Sequential(module), rules=ZBox(low, high)).attribute(x, lambda y: y.clone())
    w, tokens = module.weight.detach().double().numpy().T, x.double().numpy()
    s = _over(tokens @ w, tokens @ w - np.array(low) @ _up(w) - np.array(high) @ _down(w))
    reference = tokens * (s @ w.T) - np.array(low) * (s @ _up(w).T) - np.array(high) * (s @ _down(w).T)
    _assert_close(ours.layers["0"], reference.reshape(2, -1))


def test_box_bounds_of_another_number_of_channels() -> None:
    lrp = hudd.LRP(nn.Sequential(nn.Conv2d(3, 4, 3)), rules=ZBox((0.0, 0.0), 1.0))
    with pytest.raises(UsageError, match="z-box has bounds for 2 channels, but its layer reads 3; give one"):
        lrp.attribute(torch.rand(2, 3, 5, 5), torch.ones_like)


def test_epsilon_of_zero_is_lrp_0() -> None:
    torch.manual_seed(6)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(5, 6)
    with torch.no_grad():
        model[0].bias[:4] = -100.0  # units that are off
        model[2].weight[4:, 4:] = 0.0
    zero, epsilon = (hudd.LRP(model, rules=rule).attribute(x).input for rule in ("zero", Epsilon(0.0)))
    assert zero is not None
    assert epsilon is not None
    assert epsilon.isfinite().all()
    assert torch.equal(zero, epsilon)


def test_a_wider_gamma_and_alpha() -> None:
    torch.manual_seed(6)
    module, x = nn.Linear(6, 4), torch.randn(3, 6)
    dense, flat_x = Dense.of(module, (6,)), x.double().numpy()
    sent = torch.randn(3, 4)
    ours = hudd.LRP(nn.Sequential(module), rules="alpha-beta(3, 2)").attribute(x, lambda output: sent)
    _assert_close(ours.layers["0"], _alpha_beta(dense, flat_x, sent.double().numpy(), 3, 2))
    # With gamma without bounds only the contributions of the output's sign count.
    wide = hudd.LRP(nn.Sequential(module), rules="gamma(1e6)").attribute(x, lambda output: sent)
    z = dense.forward(flat_x)
    limit = np.zeros_like(flat_x)
    for gate, part in ((z > 0, _positive), (z < 0, _negative)):
        limit += part(dense, flat_x, np.where(gate, sent.double().numpy(), 0))
    _assert_close(wide.layers["0"], limit)


def test_an_output_of_zero() -> None:
    module = nn.Linear(2, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    x = torch.tensor([[1.0, -1.0]])
    for rule, expected in (("zero", [[0.0, 0.0]]), ("epsilon(0.5)", [[2.0, -2.0]])):
        ours = hudd.LRP(nn.Sequential(module), rules=rule).attribute(x, torch.ones_like)
        torch.testing.assert_close(ours.layers["0"], torch.tensor(expected))


@pytest.mark.parametrize("rule", ["epsilon", "alpha-beta", "z-plus", "gamma"])
def test_what_a_bias_absorbs_is_not_lost(rule: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 3))
    found = hudd.LRP(net, rules=rule, bias_share=True).attribute(torch.randn(6, 40))
    for layer, lost in found.conservation.items():
        assert found.bias_share[layer].abs().max() > 1e-3
        assert (lost + found.bias_share[layer]).abs().max() < 1e-4


def test_numbers_that_are_not_given_are_the_literature_s() -> None:
    assert (Epsilon().epsilon, Zero().epsilon, Epsilon2021().epsilon, ZPlus2021().epsilon) == (
        1e-6,
        0,
        1e-9,
        1e-9,
    )
    assert (AlphaBeta().alpha, AlphaBeta().beta, ZPlus().alpha, ZPlus().beta) == (2, 1, 1, 0)
    assert (Gamma().gamma, ZBox().low, ZBox().high) == (0.25, 0, 1)
    assert {rule().epsilon for rule in (AlphaBeta, ZPlus, Gamma, ZBox, Flat, WSquare)} == {1e-6}


def test_a_stride_makes_a_grid() -> None:
    # Of a window of 3 x 3 with stride 2 a quarter of the pixels is read four times, half twice, a quarter once.
    model = nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=2, bias=False), nn.Flatten(), nn.Linear(64, 1, bias=False)
    )
    nn.init.ones_(model[0].weight)
    nn.init.ones_(model[2].weight)
    relevance = hudd.LRP(model.eval(), rules={"0": "flat", "*": "epsilon"}, layers=["input"])(
        torch.ones(1, 1, 17, 17)
    )
    inner = relevance[0, 0, 2:-3, 2:-3].double()  # windows end at the border
    shares = [float(inner[row::2, column::2].sum() / inner.sum()) for row in (0, 1) for column in (0, 1)]
    assert shares == pytest.approx([4 / 9, 2 / 9, 2 / 9, 1 / 9], rel=1e-5)
