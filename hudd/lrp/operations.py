"""How relevance crosses operations without weights.

Four ways cover them: activations let it pass; routing operations (views, slices, concatenation, max pooling) send each
number back to where it came from; sums (residual adds, averages, batch norm) split it in proportion to the summands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from hudd.capture.graph import carries, module_of, target_name
from hudd.capture.simplify import affine_channels, identity
from hudd.errors import UnsupportedOperation
from hudd.lrp import kernels
from hudd.lrp.composites import Composite
from hudd.lrp.contraction import arguments
from hudd.lrp.message import Message

aten = torch.ops.aten

Value = Any
Values = dict[fx.Node, Value]
Sent = list[tuple[fx.Node, Message]]


@dataclass(frozen=True)
class Operation:
    """One way of crossing.

    Attributes
    ----------
    cross : callable
        ``cross(node, message, values, composite) -> [(source, message), ...]``.
    keeps_own_factor : bool or None
        Whether what it sends has the source's value for a factor: always, never, or (None) if what it receives has its
        own output's.
    reads_values : bool
        Whether crossing needs the forward values of the node and its sources.
    """

    cross: Callable[[fx.Node, Message, Values, Composite], Sent]
    keeps_own_factor: bool | None
    reads_values: bool = True
    redistributes: bool = False


def resolve(argument: Any, values: Values) -> Any:
    """An argument with every node replaced by its value."""
    return fx.node.map_arg(argument, lambda node: values[node])


def call(node: fx.Node, values: Values) -> Value:
    """The node's output."""
    return node.target(*resolve(node.args, values), **resolve(node.kwargs, values))  # type: ignore[operator]


def sources_of(node: fx.Node) -> list[fx.Node]:
    """The activations that the node reads; an item of a several-output call reads what the call reads."""
    if node.target is operator.getitem:
        return sources_of(node.args[0])  # type: ignore[arg-type]
    return [source for source in node.all_input_nodes if carries(source)]


def _adjoint(node: fx.Node, values: Values, s: Tensor) -> list[Tensor]:
    """The gradient of ``<s, output>`` with respect to every source, by running this one operation under autograd."""
    with torch.enable_grad():
        leaves = {source: values[source].detach().requires_grad_() for source in sources_of(node)}
        local = {**{other: values[other] for other in _read(node)}, **leaves}
        output = _replay(node, local)
    return list(torch.autograd.grad(output, list(leaves.values()), s))


def _read(node: fx.Node) -> list[fx.Node]:
    return _read(node.args[0]) if node.target is operator.getitem else node.all_input_nodes  # type: ignore[arg-type]


def _replay(node: fx.Node, values: Values) -> Value:
    if node.target is operator.getitem:
        return call(node.args[0], values)[node.args[1]]  # type: ignore[arg-type, index]
    return call(node, values)


def _pass(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = sources_of(node)
    return [(source, message)]


def _reshape(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = sources_of(node)
    x = values[source]
    if message.factor is not None and message.factor is not values[node]:
        message = message.plain()
    factor = None if message.factor is None else x
    return [(source, Message(message.value.reshape(x.shape), factor, message.exclusive, message.total))]


def _route(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    if message.factor is not None and message.factor is not values[node]:
        message = message.plain()
    own = message.factor is not None
    gradients = _adjoint(node, values, message.value)
    return [
        (source, Message(gradient, values[source] if own else None, exclusive=False))
        for source, gradient in zip(sources_of(node), gradients)
    ]


def _share(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Split in proportion to the summands: ``R_i = (d z / d x_i) x_i R / z``, constants absorb their part."""
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer)
    if node.target is affine_channels:
        shape = [1, -1] + [1] * (s.ndim - 2)
        return [
            (
                sources_of(node)[0],
                Message(s.mul_(resolve(node.args[1], values).view(shape)), values[node.args[0]]),
            )
        ]
    sources = sources_of(node)
    if (
        node.target in _PLAIN_SUMS
        and len(sources) == 2
        and all(values[source].shape == s.shape for source in sources)
    ):
        return [(source, Message(s, values[source], exclusive=False)) for source in sources]
    gradients = _adjoint(node, values, s)
    return [
        (source, Message(gradient, values[source], exclusive=False))
        for source, gradient in zip(sources, gradients)
    ]


def _pooling(node: fx.Node) -> dict[str, Any]:
    call_node = node.args[0] if node.target is operator.getitem else node
    named = arguments(call_node)  # type: ignore[arg-type]
    source = named["self"]
    axes = int(str(call_node.target).split("max_pool")[1][0])  # type: ignore[union-attr]
    assert isinstance(source, fx.Node)

    def expanded(value: int | Sequence[int]) -> list[int]:
        values = [value] if isinstance(value, int) else list(value)
        return values * axes if len(values) == 1 else values

    window = expanded(named["kernel_size"])
    return {
        "window": window,
        "stride": expanded(named["stride"]) if named["stride"] else window,
        "padding": expanded(named["padding"]),
        "dilation": expanded(named["dilation"]),
    }


def _max_pool(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = sources_of(node)
    x = values[source]
    if message.factor is not None and message.factor is not values[node]:
        message = message.plain()
    sent = kernels.max_pool(x, message.value, last_wins=composite.last_window_wins, **_pooling(node))
    return [(source, Message(sent, None if message.factor is None else x))]


PASS = Operation(_pass, keeps_own_factor=False, reads_values=False)
IDENTITY = Operation(_pass, keeps_own_factor=None, reads_values=False)
RESHAPE = Operation(_reshape, keeps_own_factor=None)
ROUTE = Operation(_route, keeps_own_factor=None)
SHARE = Operation(_share, keeps_own_factor=True, redistributes=True)
MAX_POOL = Operation(_max_pool, keeps_own_factor=None, redistributes=True)

RECTIFIERS = {aten.relu.default}

_ACTIVATIONS = [
    *RECTIFIERS, aten.relu6.default, aten.hardtanh.default, aten.leaky_relu.default, aten.prelu.default, aten.elu.default,
    aten.selu.default, aten.celu.default, aten.gelu.default, aten.silu.default, aten.mish.default,
    aten.hardswish.default, aten.softplus.default, aten.sigmoid.default, aten.hardsigmoid.default, aten.tanh.default,
    aten.threshold.default, aten.log_sigmoid.default, aten.clamp.default, aten.clamp_min.default, aten.clamp_max.default,
]  # fmt: skip
_RESHAPES = [
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.flatten.using_ints,
    aten.unflatten.int, aten.unsqueeze.default, aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims,
]  # fmt: skip
_ROUTES = [
    aten.permute.default, aten.transpose.int, aten.t.default, aten.movedim.int, aten.slice.Tensor, aten.select.int,
    aten.narrow.default, aten.expand.default, aten.repeat.default, aten.cat.default, aten.stack.default,
    aten.constant_pad_nd.default, aten.pad.default, aten.reflection_pad2d.default, aten.replication_pad2d.default,
    aten.flip.default, aten.roll.default, aten.index_select.default, aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default, aten.channel_shuffle.default, aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default, aten.adaptive_max_pool3d.default, aten.split.Tensor,
    aten.split_with_sizes.default, aten.chunk.default, aten.unbind.int,
]  # fmt: skip
_PLAIN_SUMS = {aten.add.Tensor}
_SUMS = [
    affine_channels, *_PLAIN_SUMS, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar, aten.rsub.Scalar, aten.neg.default,
    aten.mean.dim, aten.mean.default, aten.sum.dim_IntList, aten.avg_pool1d.default, aten.avg_pool2d.default,
    aten.avg_pool3d.default, aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default, aten.upsample_nearest1d.vec, aten.upsample_nearest2d.vec,
    aten.upsample_nearest3d.vec, aten.upsample_linear1d.vec, aten.upsample_bilinear2d.vec, aten.upsample_trilinear3d.vec,
]  # fmt: skip
_MAX_POOLS = [
    aten.max_pool1d.default, aten.max_pool2d.default, aten.max_pool3d.default,
    aten.max_pool1d_with_indices.default, aten.max_pool2d_with_indices.default, aten.max_pool3d_with_indices.default,
]  # fmt: skip
# Linear in one argument while the other is a constant: a scale, which is a sum of one summand.
_SCALES = [aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar]

OPERATIONS: dict[Any, Operation] = {
    identity: IDENTITY,
    **dict.fromkeys(_ACTIVATIONS, PASS),
    **dict.fromkeys(_RESHAPES, RESHAPE),
    **dict.fromkeys(_ROUTES, ROUTE),
    **dict.fromkeys([*_SUMS, *_SCALES], SHARE),
    **dict.fromkeys(_MAX_POOLS, MAX_POOL),
}
_NONNEGATIVE = {
    *RECTIFIERS,
    aten.relu6.default,
    aten.sigmoid.default,
    aten.hardsigmoid.default,
    aten.softplus.default,
}
# Not negative if what they read is not.
_KEEP_SIGN = {
    identity, *_RESHAPES, *_ROUTES, *_MAX_POOLS, *_PLAIN_SUMS, aten.mean.dim, aten.avg_pool1d.default, aten.avg_pool2d.default,
    aten.avg_pool3d.default, aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default, aten.sum.dim_IntList,
} - {aten.constant_pad_nd.default, aten.pad.default}  # fmt: skip


def nonnegative(node: fx.Node) -> bool:
    """Whether the node's output is known to hold no negative number."""
    target = node.args[0].target if node.target is operator.getitem else node.target  # type: ignore[union-attr]
    if target in _NONNEGATIVE or (target is aten.hardtanh.default and node.args[1:2] == (0.0,)):
        return True
    if target not in _KEEP_SIGN or (target in _PLAIN_SUMS and (node.kwargs or len(_carrying(node)) < 2)):
        return False
    return all(carries(read) and nonnegative(read) for read in _read(node))


def _carrying(node: fx.Node) -> list[Any]:
    """The positional arguments that are activations, with repetition."""
    return [argument for argument in node.args if carries(argument)]


def operation_of(node: fx.Node) -> Operation:
    """How relevance crosses this node.

    Raises
    ------
    UnsupportedOperation
        If there is no conserving way; the message names the operation, its module and a remedy.
    """
    target = node.args[0].target if node.target is operator.getitem else node.target  # type: ignore[union-attr]
    found = OPERATIONS.get(target)
    if found is None:
        raise UnsupportedOperation(
            target_name(node),
            module_of(node),
            "Rewrite that part of the model with operations that hudd knows, or explain the part of the model that "
            "lies after it.",
        )
    if target in _SCALES and len(_carrying(node)) > 1:
        raise UnsupportedOperation(
            target_name(node), module_of(node), "A product of two activations (a gate) has no rule yet."
        )
    if target in (aten.div.Tensor, aten.div.Scalar) and carries(node.args[1]):
        raise UnsupportedOperation(
            target_name(node), module_of(node), "A quotient by an activation has no rule."
        )
    if target in (aten.clamp.default, aten.clamp_min.default) and node.args[1] not in (0, 0.0):
        raise UnsupportedOperation(
            target_name(node), module_of(node), "Only a clamp that starts at zero is a rectifier with a rule."
        )
    return found
