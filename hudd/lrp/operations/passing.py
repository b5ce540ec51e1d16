"""Operations that relevance passes unchanged: activations, and whatever acts on each number by itself.

An activation is neither a sum nor a choice, so what enters is what leaves (Bach et al. 2015, sec. 2.3; the identity
rule of AttnLRP, Achtibat et al. 2024, arXiv 2402.05602, prop. 3.1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from hudd.capture.simplify import identity
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message
from hudd.lrp.operations.base import Operation, Sent, Values, activations_read, is_activation

aten = torch.ops.aten


def _pass(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = activations_read(node)
    return [(source, message)]


def _base(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.args[:1] if is_activation(source)]  # type: ignore[misc]


def _power(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    (source,) = _base(node)
    return [(source, Message(message.plain().value.sum_to_size(values[source].shape), None))]


POWER = Operation(_power, own_factor=False, overwritable=True, sources=_base)
PASS = Operation(_pass, own_factor=False, reads_values=False, overwritable=True)
IDENTITY = Operation(_pass, own_factor=None, reads_values=False)

RECTIFIERS = {aten.relu.default, aten.relu6.default}

_ACTIVATIONS = [
    *RECTIFIERS,
    aten.abs.default,
    aten.celu.default,
    aten.clamp.Tensor,
    aten.clamp.default,
    aten.clamp_max.default,
    aten.clamp_min.default,
    aten.elu.default,
    aten.gelu.default,
    aten.hardshrink.default,
    aten.hardsigmoid.default,
    aten.hardswish.default,
    aten.hardtanh.default,
    aten.leaky_relu.default,
    aten.log_sigmoid.default,
    aten.mish.default,
    aten.pow.Tensor_Scalar,
    aten.prelu.default,
    aten.rrelu.default,
    aten.selu.default,
    aten.sigmoid.default,
    aten.silu.default,
    aten.softplus.default,
    aten.softshrink.default,
    aten.sqrt.default,
    aten.square.default,
    aten.tanh.default,
    aten.threshold.default,
]

OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys(_ACTIVATIONS, PASS),
    identity: IDENTITY,
    aten.pow.Tensor_Tensor: POWER,
}

# Outputs that are never negative.
NONNEGATIVE = {
    *RECTIFIERS,
    aten.abs.default,
    aten.hardsigmoid.default,
    aten.sigmoid.default,
    aten.softplus.default,
    aten.sqrt.default,
    aten.square.default,
}
