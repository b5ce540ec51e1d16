"""Weighted sums without trainable weights: residual adds, averages, interpolation, batch norm, scales and shifts.

Relevance is split in proportion to the summands, ``R_i = (dz / dx_i) x_i R / z`` (the epsilon rule); a constant
summand, such as batch norm's shift, absorbs its part as a bias does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from hudd.capture.simplify import affine_channels
from hudd.lrp.arguments import arguments
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message
from hudd.lrp.operations import routing
from hudd.lrp.operations.base import (
    Operation,
    Sent,
    Values,
    activations_read,
    adjoint,
    is_activation,
    resolve,
    shift_of,
)

aten = torch.ops.aten


def _share(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    shift = shift_of(node, message, values)
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer, shift=shift)
    sources = activations_read(node)
    return [
        (source, Message(gradient, values[source], exclusive=False))
        for source, gradient in zip(sources, adjoint(node, values, s, sources))
    ]


def _sum_of_two(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    sources = activations_read(node)
    same_shape = all(values[source].shape == message.value.shape for source in sources)
    if node.kwargs or len(sources) != 2 or not same_shape:
        return _share(node, message, values, composite)
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer)
    return [(source, Message(s, values[source], exclusive=False)) for source in sources]


def _affine_channels(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    shape = [1, -1] + [1] * (values[node].ndim - 2)
    scale, shift = (resolve(argument, values).view(shape) for argument in node.args[1:])
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer, shift=shift)
    (source,) = activations_read(node)
    return [(source, Message(s.mul_(scale), values[source]))]


def _put(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Numbers written into others, or added to them."""
    if arguments(node)["accumulate"]:
        return _share(node, message, values, composite)
    return routing.CHOICE.cross(node, message.plain(), values, composite)


def _image(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.args[:1] if is_activation(source)]  # type: ignore[misc]


def _sampled(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """A linear map of the image; the grid that says where to look is a gate."""
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer)
    (image,) = _image(node)
    (gradient,) = adjoint(node, values, s, [image])
    return [(image, Message(gradient, values[image], exclusive=False))]


PUT = Operation(_put, own_factor=False, redistributes=True, overwritable=True, keeps_rest=True)
SAMPLED = Operation(_sampled, own_factor=True, redistributes=True, overwritable=True, sources=_image)
SHARE = Operation(_share, own_factor=True, redistributes=True, overwritable=True, keeps_rest=True)
SUM_OF_TWO = Operation(_sum_of_two, own_factor=True, redistributes=True, overwritable=True)
AFFINE_CHANNELS = Operation(_affine_channels, own_factor=True, redistributes=True, overwritable=True)

AVERAGES = [
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
    aten.avg_pool1d.default,
    aten.avg_pool2d.default,
    aten.avg_pool3d.default,
    aten.mean.dim,
    aten.sum.dim_IntList,
    aten.upsample_bilinear2d.vec,
    aten.upsample_linear1d.vec,
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.vec,
    aten.upsample_nearest3d.vec,
    aten.upsample_trilinear3d.vec,
]
_SHIFTS = [
    aten.add.Scalar,
    aten.addcmul.default,
    aten.col2im.default,
    aten.index_add.default,
    aten.scatter_add.default,
    aten.neg.default,
    aten.rsub.Scalar,
    aten.rsub.Tensor,
    aten.sub.Scalar,
    aten.sub.Tensor,
    aten.upsample_bicubic2d.vec,
]

OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys([*AVERAGES, *_SHIFTS], SHARE),
    aten.add.Tensor: SUM_OF_TWO,
    affine_channels: AFFINE_CHANNELS,
    aten.index_put.default: PUT,
    **dict.fromkeys(
        [aten.grid_sampler.default, aten.grid_sampler_2d.default, aten.grid_sampler_3d.default], SAMPLED
    ),
}
# Not negative if nothing that they read is.
KEEP_SIGN = {*AVERAGES, aten.add.Tensor}
