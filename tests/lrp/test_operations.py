"""Every operation without weights conserves, alone and in a random case; every other one is refused by name."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

import hudd
from hudd.capture import RelevanceGraph
from hudd.capture.simplify import affine_channels, identity
from hudd.errors import UnsupportedOperation
from hudd.lrp.operations import OPERATIONS, attention

aten = torch.ops.aten

X = object()  # stands for the model's input among the arguments of a case
ROW, SIGNAL, MAP, VOLUME, SQUARE = (3, 6), (3, 4, 6), (3, 4, 6, 6), (3, 2, 4, 4, 4), (3, 5, 5)
GRID = torch.linspace(-0.9, 0.9, 3 * 5 * 4 * 2).view(3, 5, 4, 2)
POSITIVE = (3, 5)  # its numbers are drawn from [0, 1)
Case = tuple[tuple[int, ...], tuple[Any, ...]]  # shape of the input, arguments

ACTIVATIONS: dict[Any, Case] = {
    **dict.fromkeys(
        [
            aten.relu.default, aten.celu.default, aten.clamp_max.default, aten.elu.default, aten.gelu.default,
            aten.hardshrink.default, aten.hardsigmoid.default, aten.hardswish.default, aten.hardtanh.default,
            aten.leaky_relu.default, aten.log_sigmoid.default, aten.mish.default, aten.relu6.default,
            aten.selu.default, aten.sigmoid.default, aten.silu.default, aten.softplus.default,
            aten.softshrink.default, aten.tanh.default, aten.abs.default, aten.square.default, identity,
        ],
        (SIGNAL, (X,)),
    ),
    aten.clamp.default: (SIGNAL, (X, -0.5, 0.7)),
    aten.clamp_min.default: (SIGNAL, (X, 0.3)),
    aten.clamp.Tensor: (SIGNAL, (X, torch.tensor(-0.5), torch.tensor(0.7))),
    aten.pow.Tensor_Tensor: (POSITIVE, (X, torch.linspace(1, 3, 5))),
    aten.clamp_max.default: (SIGNAL, (X, 0.7)),
    aten.pow.Tensor_Scalar: (SIGNAL, (X, 3)),
    aten.prelu.default: (SIGNAL, (X, torch.tensor([0.3]))),
    aten.rrelu.default: (SIGNAL, (X,)),
    aten.sqrt.default: (POSITIVE, (X,)),
    aten.threshold.default: (SIGNAL, (X, 0.2, 0.0)),
    aten.softmax.int: (ROW, (X, 1)),
    aten._softmax.default: (ROW, (X, 1, False)),
    aten.log_softmax.int: (ROW, (X, 1)),
}  # fmt: skip
MOVES: dict[Any, Case] = {
    aten._unsafe_view.default: (SIGNAL, (X, [3, 24])),
    aten.flatten.using_ints: (SIGNAL, (X, 1)),
    aten.reshape.default: (SIGNAL, (X, [3, 2, 12])),
    aten.squeeze.default: ((3, 1, 6), (X,)),
    aten.squeeze.dim: ((3, 1, 6), (X, 1)),
    aten.squeeze.dims: ((3, 1, 6, 1), (X, [1, 3])),
    aten.unflatten.int: (ROW, (X, 1, [2, 3])),
    aten.unsqueeze.default: (ROW, (X, 1)),
    aten.view.default: (SIGNAL, (X, [3, 24])),
    aten.channel_shuffle.default: (MAP, (X, 2)),
    aten.chunk.default: (SIGNAL, (X, 3, 2)),
    aten.constant_pad_nd.default: (SIGNAL, (X, [1, -2])),
    aten.expand.default: ((3, 1, 6), (X, [3, 4, 6])),
    aten.expand_as.default: ((3, 1, 6), (X, torch.zeros(3, 4, 6))),
    aten.flip.default: (SIGNAL, (X, [1, 2])),
    aten.gather.default: (ROW, (X, 1, torch.tensor([[0, 0, 5], [1, 2, 2], [3, 4, 0]]))),
    aten.im2col.default: (MAP, (X, [3, 2], [1, 1], [1, 0], [2, 1])),
    aten.index.Tensor: (SIGNAL, (X, [None, torch.tensor([2, 0, 2])])),
    aten.index_select.default: (SIGNAL, (X, 2, torch.tensor([5, 0, 5]))),
    aten.movedim.int: (MAP, (X, 1, 3)),
    aten.narrow.default: (SIGNAL, (X, 2, 1, 3)),
    aten.pad.default: (MAP, (X, [2, 1, 0, 2], "reflect")),
    aten.pixel_shuffle.default: (MAP, (X, 2)),
    aten.pixel_unshuffle.default: (MAP, (X, 2)),
    aten.reflection_pad1d.default: (SIGNAL, (X, [2, 1])),
    aten.reflection_pad2d.default: (MAP, (X, [2, 1, 0, 3])),
    aten.repeat.default: (SIGNAL, (X, [1, 2, 3])),
    aten.replication_pad1d.default: (SIGNAL, (X, [2, 1])),
    aten.replication_pad2d.default: (MAP, (X, [2, 1, 0, 3])),
    aten.roll.default: (SIGNAL, (X, [2], [2])),
    aten.select.int: (SIGNAL, (X, 1, 2)),
    aten.slice.Tensor: (SIGNAL, (X, 2, 1, 6, 2)),
    aten.split.Tensor: (SIGNAL, (X, 2, 1)),
    aten.split_with_sizes.default: (SIGNAL, (X, [1, 3], 1)),
    aten.stack.default: (SIGNAL, ([X, X], 2)),
    aten.cat.default: (SIGNAL, ([X, torch.zeros(3, 2, 6), X], 1)),
    aten.t.default: ((3, 3), (X,)),
    aten.transpose.int: (SIGNAL, (X, 1, 2)),
    aten.unbind.int: (SIGNAL, (X, 1)),
    aten.unfold.default: (SIGNAL, (X, 2, 3, 2)),
    # Fillings are zeros here: a constant that is not absorbs its part, as a bias does.
    aten.masked_fill.Scalar: (ROW, (X, torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), 0.0)),
    aten.masked_fill.Tensor: (
        ROW,
        (X, torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), torch.tensor(0.0)),
    ),
    aten.copy.default: (SIGNAL, (torch.zeros(3, 4, 6), X)),
    aten.diagonal_scatter.default: (SIGNAL, (X, torch.zeros(3, 4), 0, 1, 2)),
    aten.index_copy.default: (SIGNAL, (X, 2, torch.tensor([1, 4]), torch.zeros(3, 4, 2))),
    aten.masked_scatter.default: (
        ROW,
        (X, torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), torch.zeros(3, 2)),
    ),
    aten.scatter.src: (ROW, (X, 1, torch.tensor([[0], [2], [5]]), torch.zeros(3, 1))),
    aten.scatter.value: (ROW, (X, 1, torch.tensor([[0], [2], [5]]), 0.0)),
    aten.select_scatter.default: (SIGNAL, (X, torch.zeros(3, 6), 1, 2)),
    aten.slice_scatter.default: (SIGNAL, (torch.zeros(3, 4, 9), X, 2, 1, 7)),
    aten.where.ScalarOther: (ROW, (torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), X, 0.0)),
    aten.where.ScalarSelf: (ROW, (torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), 0.0, X)),
    aten.where.self: (ROW, (torch.tensor([1, 0, 0, 1, 0, 0], dtype=torch.bool), X, X)),
    aten.amax.default: (MAP, (X, [2, 3])),
    aten.amin.default: (MAP, (X, [1], True)),
    aten.max.dim: (SIGNAL, (X, 1)),
    aten.max.other: (SIGNAL, (X, torch.zeros(6))),
    aten.maximum.default: (SIGNAL, (X, torch.zeros(6))),
    aten.min.dim: (SIGNAL, (X, 2, True)),
    aten.min.other: (SIGNAL, (torch.zeros(6), X)),
    aten.minimum.default: (SIGNAL, (X, X)),
    aten.topk.default: (ROW, (X, 3)),
    aten.permute.default: (MAP, (X, [0, 2, 3, 1])),
    aten.adaptive_max_pool1d.default: (SIGNAL, (X, [4])),
    aten.adaptive_max_pool2d.default: (MAP, (X, [4, 5])),
    aten.adaptive_max_pool3d.default: (VOLUME, (X, [2, 3, 1])),
    aten.max_pool1d.default: (SIGNAL, (X, [3], [2], [1])),
    aten.max_pool1d_with_indices.default: (SIGNAL, (X, [3], [2], [1])),
    aten.max_pool2d.default: (MAP, (X, [3, 2], [2, 1])),
    aten.max_pool2d_with_indices.default: (MAP, (X, [2, 2], [1, 1], [1, 1], [2, 1])),
    aten.max_pool3d.default: (VOLUME, (X, [2, 2, 2], [1, 2, 1])),
    aten.max_pool3d_with_indices.default: (VOLUME, (X, [2])),
}
# A constant summand absorbs its part, as a bias does; here it is zero.
SUMS: dict[Any, Case] = {
    aten.adaptive_avg_pool1d.default: (SIGNAL, (X, [4])),
    aten.adaptive_avg_pool2d.default: (MAP, (X, [4, 5])),
    aten.adaptive_avg_pool3d.default: (VOLUME, (X, [2, 3, 1])),
    aten.avg_pool1d.default: (SIGNAL, (X, [3], [2], [1], True, False)),
    aten.avg_pool2d.default: (MAP, (X, [3, 2], [2, 1], [1, 0], False, True)),
    aten.avg_pool3d.default: (VOLUME, (X, [2, 2, 2], [1, 2, 1])),
    aten.mean.dim: (MAP, (X, [2, 3])),
    aten.sum.dim_IntList: (MAP, (X, [1], True)),
    aten.upsample_bilinear2d.vec: (MAP, (X, [9, 11], False, None)),
    aten.upsample_bicubic2d.vec: (MAP, (X, [9, 11], False, None)),
    aten.upsample_linear1d.vec: (SIGNAL, (X, [11], True, None)),
    aten.upsample_nearest1d.vec: (SIGNAL, (X, [11], None)),
    aten.upsample_nearest2d.vec: (MAP, (X, [9, 11], None)),
    aten.upsample_nearest3d.vec: (VOLUME, (X, [5, 7, 6], None)),
    aten.upsample_trilinear3d.vec: (VOLUME, (X, [5, 7, 6], False, None)),
    aten.add.Scalar: (SIGNAL, (X, 0.0)),
    aten.addcmul.default: (SIGNAL, (X, torch.full((6,), 0.5), X)),
    aten.col2im.default: ((3, 8, 9), (X, [4, 4], [2, 2], [1, 1], [0, 0], [1, 1])),
    aten.add.Tensor: (SIGNAL, (X, torch.zeros(6))),
    aten.grid_sampler.default: (MAP, (X, GRID, 0, 0, False)),
    aten.grid_sampler_2d.default: (MAP, (X, GRID, 0, 1, True)),
    aten.grid_sampler_3d.default: (VOLUME, (X, torch.zeros(3, 2, 2, 2, 3), 0, 0, False)),
    aten.index_add.default: (SIGNAL, (torch.zeros(3, 4, 6), 2, torch.tensor([0, 1, 1, 2, 5, 5]), X)),
    aten.index_put.default: (SIGNAL, (X, [None, torch.tensor([2])], torch.zeros(3, 1, 6))),
    aten.neg.default: (SIGNAL, (X,)),
    aten.scatter_add.default: (ROW, (X, 1, torch.tensor([[0], [2], [5]]), torch.zeros(3, 1))),
    aten.rsub.Scalar: (SIGNAL, (X, 0.0)),
    aten.rsub.Tensor: (SIGNAL, (X, torch.zeros(6))),
    aten.sub.Scalar: (SIGNAL, (X, 0.0)),
    aten.sub.Tensor: (SIGNAL, (torch.zeros(6), X)),
    affine_channels: (MAP, (X, torch.tensor([1.0, -2.0, 0.5, 3.0]), torch.zeros(4))),
}
PRODUCTS: dict[Any, Case] = {
    aten.mul.Tensor: (SIGNAL, (X, X)),
    aten.mul.Scalar: (SIGNAL, (X, -2.5)),
    aten.div.Tensor: (SIGNAL, (X, torch.tensor([[2.0], [-1.0], [0.5], [3.0]]))),
    aten.div.Scalar: (SIGNAL, (X, -2.5)),
    aten.cosine_similarity.default: (SIGNAL, (X, torch.linspace(-1, 2, 4).view(1, 4, 1), 1, 1e-8)),
    aten.matmul.default: (SQUARE, (X, X)),
    aten.bmm.default: (SQUARE, (X, X)),
    aten.scaled_dot_product_attention.default: ((3, 2, 5, 4), (X, X, X)),
    aten.layer_norm.default: (SIGNAL, (X, [6], torch.rand(6) + 0.5)),
    aten.rms_norm.default: (SIGNAL, (X, [6], torch.rand(6) + 0.5)),
    aten.group_norm.default: (MAP, (X, 2, torch.rand(4) + 0.5)),
    aten.instance_norm.default: (MAP, (X, torch.rand(4) + 0.5, None, None, None, True, 0.1, 1e-5, False)),
}
CASES = {**ACTIVATIONS, **MOVES, **SUMS, **PRODUCTS}


def test_every_operation_has_its_case() -> None:
    rewritten = set(attention.OPERATIONS)  # what attnlrp puts into a graph: test_attnlrp.py
    assert set(CASES) == set(OPERATIONS) - rewritten


def _graph(target: Any, arguments: tuple[Any, ...], then_scaled: bool) -> RelevanceGraph:
    """A graph of one call, and of a scaling behind it, so that relevance comes as a multiple of the call's output."""
    graph = fx.Graph()
    source = graph.placeholder("x")
    source.meta = {"depends_on_input": True, "module": ""}
    constants: dict[str, Tensor] = {}

    def resolved(argument: Any) -> Any:
        if argument is X:
            return source
        if isinstance(argument, list):
            return [resolved(item) for item in argument]
        if isinstance(argument, Tensor):
            node = graph.placeholder(f"constant{len(constants)}")
            node.meta = {"depends_on_input": False, "module": ""}
            constants[node.name] = argument
            return node
        return argument

    def call(function: Any, *given: Any) -> fx.Node:
        node = graph.call_function(function, given)
        node.meta = {"depends_on_input": True, "module": "layer"}
        return node

    result = call(target, *[resolved(argument) for argument in arguments])
    schema = getattr(target, "_schema", None)
    if schema is not None and (len(schema.returns) > 1 or str(schema.returns[0].type) == "List[Tensor]"):
        result = call(operator.getitem, result, 0)
    if then_scaled:
        result = call(aten.mul.Scalar, result, 1.5)
    graph.output((result,))
    return RelevanceGraph(graph, constants, [source], [result])


@pytest.mark.parametrize("then_scaled", [False, True], ids=["plain", "factored"])
@pytest.mark.parametrize("target", CASES, ids=lambda target: getattr(target, "__name__", str(target)))
def test_conserves(target: Any, then_scaled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    shape, arguments = CASES[target]
    draw = torch.rand if shape is POSITIVE else torch.randn
    x = draw(shape, generator=generator)
    graph = _graph(target, arguments, then_scaled)
    monkeypatch.setattr("hudd.lrp.engine.capture", lambda model, example: graph)
    entered: list[Tensor] = []

    def weighted(output: Tensor) -> Tensor:
        entered.append(output * torch.randn(output.shape, generator=generator))
        return entered[0]

    lrp = hudd.LRP(nn.Identity(), rules="zero", layers=["input"])
    relevance = lrp.attribute(x, weighted)
    assert relevance.input is not None
    assert relevance.input.shape == x.shape
    room = 1e-4 * float(entered[0].abs().sum())
    assert abs(float(relevance.input.double().sum() - entered[0].double().sum())) <= room
    if target is not aten.t.default:  # that exchanges the samples for something else
        rows = len(x)
        each = relevance.input.double().reshape(rows, -1).sum(1) - entered[0].double().reshape(rows, -1).sum(
            1
        )
        assert each.abs().max() <= room


class _Model(nn.Module):
    """A linear layer, then a function of what it says and of the input."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"odd": _Odd(function)})

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder["odd"](x)


class _Odd(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(6, 6, bias=False), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x), x)


REFUSED: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "cumsum": (lambda y, x: y.cumsum(1), "aten.cumsum.default"),
    "negative power": (lambda y, x: y**-2, "aten.pow.Tensor_Scalar"),
    "sign": (lambda y, x: y.sign(), "aten.sign.default"),
    "one over": (lambda y, x: 1 / y, "aten.reciprocal.default"),
    "constant over": (lambda y, x: torch.ones(6) / y, "aten.div.Tensor"),
    "sorted": (lambda y, x: y.sort(1)[0], "aten.sort.default"),
    "product and sum at once": (lambda y, x: torch.addcmul(x, y, x), "aten.addcmul.default"),
    "fourier": (lambda y, x: torch.fft.rfft(y).abs(), "aten.fft_rfft.default"),
    "over itself": (lambda y, x: y / y, "aten.div.Tensor"),
    "sum over the batch too": (lambda y, x: y * y.sum(), "aten.sum.default"),
    "floor division": (lambda y, x: torch.div(y, 2.0, rounding_mode="floor"), "aten.div.Tensor_mode"),
    "batch statistics": (
        lambda y, x: functional.batch_norm(y, None, None, training=True),
        "aten._native_batch_norm_legit.no_stats",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    function, operation = REFUSED[name]
    with pytest.raises(UnsupportedOperation) as caught:
        hudd.LRP(_Model(function)).attribute(torch.randn(4, 6))
    error = caught.value
    assert error.operation == operation
    assert error.module == "encoder.odd"
    assert f"no relevance rule for operation {operation} in module 'encoder.odd'" in str(error)
    assert "Rewrite that part of the model" in error.remedy
    assert isinstance(error, ValueError)
    assert error.exit_code == 2


REFUSED_PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str, str]] = {
    "a bias from the input": (
        lambda y, x: functional.linear(y, torch.ones(6, 6), x.mean(0)), "aten.linear.default",
        "Its weight or bias is not a parameter",
    ),
    "a summand from the input": (
        lambda y, x: torch.addmm(x, y, torch.ones(6, 6)), "aten.addmm.default", "Its summand is not a parameter"
    ),
    "a vector": (lambda y, x: y.unsqueeze(1) @ torch.ones(6), "aten.matmul.default", "A product with a vector"),
    "another matrix for each image": (
        lambda y, x: y.unsqueeze(1).bmm(torch.arange(1.0, y.shape[0] + 1)[:, None, None] * torch.ones(6, 6)),
        "aten.bmm.default", "Its weight is not the same for every image",
    ),
    "images mixed": (
        lambda y, x: torch.ones(y.shape[0], y.shape[0]) @ y, "aten.matmul.default",
        "Its weight is not the same for every image",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED_PRODUCTS)
def test_refused_products(name: str) -> None:
    function, operation, reason = REFUSED_PRODUCTS[name]
    with pytest.raises(UnsupportedOperation, match=reason) as caught:
        hudd.LRP(_Model(function)).prepare(torch.randn(4, 6))
    assert caught.value.operation == operation
    assert caught.value.module == "encoder.odd"


def test_refusals_come_before_any_work() -> None:
    function, _ = REFUSED["cumsum"]
    with pytest.raises(UnsupportedOperation):
        hudd.LRP(_Model(function)).prepare(torch.randn(4, 6))
