"""Operations that only move or choose numbers: each relevance goes back to where its number came from, overlaps add.

What goes back to a constant, such as a class token or the filling of a mask, stays there as with a bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from hudd.capture.samples import RESHAPES
from hudd.lrp import kernels
from hudd.lrp.arguments import arguments
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message
from hudd.lrp.operations.base import (
    Operation,
    Sent,
    Values,
    activations_read,
    adjoint,
    factored_by_own_output,
    is_activation,
    origin,
)

aten = torch.ops.aten


def _reshape(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = activations_read(node)
    x = values[source]
    message = factored_by_own_output(node, message, values)
    factor = None if message.factor is None else x
    value = kernels.in_layout_of(message.value.reshape(x.shape), x)
    same_samples = len(value) == len(message.value)  # else a total is of other numbers
    return [(source, Message(value, factor, message.exclusive, message.total if same_samples else None))]


def _permute(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = activations_read(node)
    message = factored_by_own_output(node, message, values)
    inverse = [0] * message.value.ndim
    for position, axis in enumerate(node.args[1]):  # type: ignore[arg-type]
        inverse[axis] = position
    factor = None if message.factor is None else values[source]
    value, total = message.value.permute(inverse), message.total if inverse[0] == 0 else None
    return [(source, Message(value, factor, message.exclusive, total))]


def _route(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    message = factored_by_own_output(node, message, values)
    own = message.factor is not None
    sources = activations_read(node)
    gradients = adjoint(node, values, message.value, sources)
    return [
        (source, Message(gradient, values[source] if own else None, exclusive=False))
        for source, gradient in zip(sources, gradients)
    ]


def _choice(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Numbers of several origins, constants among them."""
    return _keeping_rest(message, _route(node, message, values, composite))


def _keeping_rest(message: Message, sent: Sent) -> Sent:
    """Write down as a constant's what was not sent on, if anybody asks."""
    if message.ledger is not None:
        gone = sum(part.sample_totals().sum() for _, part in sent)
        message.ledger.append(message.sample_totals().sum() - gone)
    return sent


def _concatenation(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    whole, message = message, factored_by_own_output(node, message, values)
    axis = arguments(node)["dim"]
    sent: dict[fx.Node, Message] = {}
    start = 0
    for part in node.args[0]:  # type: ignore[union-attr]
        value = values[part]  # type: ignore[index]
        length = value.shape[axis]
        if part in activations_read(node):
            share = message.value.narrow(axis, start, length)
            if part in sent:  # the same tensor twice in one concatenation
                share = sent[part].value + share  # type: ignore[index]
            sent[part] = Message(share, None if message.factor is None else value, exclusive=False)  # type: ignore[index]
        start += length
    return _keeping_rest(whole, list(sent.items()))


def _max_pool(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = activations_read(node)
    x = values[source]
    message = factored_by_own_output(node, message, values)
    sent = kernels.max_pool(x, message.value, last_wins=composite.last_window_wins, **_pooling(origin(node)))
    return [(source, Message(sent, None if message.factor is None else x))]


def _pooling(node: fx.Node) -> dict[str, Any]:
    """Window, stride, padding and dilation of a max pooling, one number a spatial axis."""
    named = arguments(node)
    axes = int(str(node.target).split("max_pool")[1][0])

    def expanded(value: int | Sequence[int]) -> list[int]:
        numbers = [value] if isinstance(value, int) else list(value)
        return numbers * axes if len(numbers) == 1 else numbers

    window = expanded(named["kernel_size"])
    return {
        "window": window,
        "stride": expanded(named["stride"]) if named["stride"] else window,
        "padding": expanded(named["padding"]),
        "dilation": expanded(named["dilation"]),
    }


def _written(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.args[1:2] if is_activation(source)]  # type: ignore[misc]


def _copy(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Everything is written over; what was there before has no part in it."""
    (source,) = _written(node)
    message = factored_by_own_output(node, message, values)
    value = message.value.sum_to_size(values[source].shape)
    return [(source, Message(value, None if message.factor is None else values[source], exclusive=False))]


RESHAPE = Operation(_reshape, own_factor=None)
PERMUTE = Operation(_permute, own_factor=None)
ROUTE = Operation(_route, own_factor=None)
CHOICE = Operation(_choice, own_factor=None, keeps_rest=True)
WINNER = Operation(_choice, own_factor=None, redistributes=True, keeps_rest=True, chooses=True)
COPY = Operation(_copy, own_factor=None, sources=_written)
CONCATENATION = Operation(_concatenation, own_factor=None, keeps_rest=True)
ADAPTIVE_MAX_POOL = Operation(_route, own_factor=None, redistributes=True, chooses=True)
MAX_POOL = Operation(_max_pool, own_factor=None, redistributes=True, chooses=True)

_ROUTES = [
    aten.channel_shuffle.default,
    aten.chunk.default,
    aten.expand.default,
    aten.expand_as.default,
    aten.flip.default,
    aten.gather.default,
    aten.im2col.default,
    aten.index.Tensor,
    aten.index_select.default,
    aten.movedim.int,
    aten.narrow.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.repeat.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.roll.default,
    aten.select.int,
    aten.slice.Tensor,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.t.default,
    aten.transpose.int,
    aten.unbind.int,
    aten.unfold.default,
]
_CHOICES = [
    aten.constant_pad_nd.default,
    aten.diagonal_scatter.default,
    aten.index_copy.default,
    aten.masked_fill.Scalar,
    aten.masked_fill.Tensor,
    aten.masked_scatter.default,
    aten.pad.default,
    aten.scatter.src,
    aten.scatter.value,
    aten.select_scatter.default,
    aten.slice_scatter.default,
    aten.stack.default,
    aten.where.ScalarOther,
    aten.where.ScalarSelf,
    aten.where.self,
]
_WINNERS = [
    aten.amax.default,
    aten.amin.default,
    aten.max.dim,
    aten.max.other,
    aten.maximum.default,
    aten.min.dim,
    aten.min.other,
    aten.minimum.default,
    aten.topk.default,
]
_ADAPTIVE_MAX_POOLS = [
    aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default,
    aten.adaptive_max_pool3d.default,
]
_MAX_POOLS = [
    aten.max_pool1d.default,
    aten.max_pool1d_with_indices.default,
    aten.max_pool2d.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d.default,
    aten.max_pool3d_with_indices.default,
]

OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys(RESHAPES, RESHAPE),
    **dict.fromkeys(_ROUTES, ROUTE),
    **dict.fromkeys(_CHOICES, CHOICE),
    **dict.fromkeys(_WINNERS, WINNER),
    **dict.fromkeys(_ADAPTIVE_MAX_POOLS, ADAPTIVE_MAX_POOL),
    **dict.fromkeys(_MAX_POOLS, MAX_POOL),
    aten.permute.default: PERMUTE,
    aten.cat.default: CONCATENATION,
    aten.copy.default: COPY,
}
# Not negative if nothing that they read is; a filling may be a negative constant.
KEEP_SIGN = set(OPERATIONS) - {
    aten.constant_pad_nd.default,
    aten.masked_fill.Scalar,
    aten.masked_fill.Tensor,
    aten.pad.default,
    aten.scatter.value,
    aten.where.ScalarOther,
    aten.where.ScalarSelf,
}
