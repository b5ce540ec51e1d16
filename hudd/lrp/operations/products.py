"""Products of activations: gates, attention, and normalisation by a statistic of the activation itself.

A gate (sigmoid, softmax weights, a reciprocal norm) says how much of a signal goes on, not what it says, so the whole
relevance goes to the signal: the gate counts as a constant (Arras et al. 2017, "signal takes all"; CP-LRP, Ali et al.
2022, arXiv 2202.07304, for attention weights and layer norm). Where neither factor is a gate, each gets half
(AttnLRP, Achtibat et al. 2024, prop. 3.3).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from hudd.lrp.arguments import arguments
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message
from hudd.lrp.operations import passing, routing, sums
from hudd.lrp.operations.base import (
    Operation,
    Pair,
    Sent,
    Values,
    activation_arguments,
    activations_read,
    adjoint,
    is_activation,
    origin,
    resolve,
)

aten = torch.ops.aten

_SCALES = [aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar]
MATRIX_PRODUCTS = [aten.matmul.default, aten.bmm.default]
_GATES = {
    aten._softmax.default,
    aten.exp.default,
    aten.hardsigmoid.default,
    aten.linalg_vector_norm.default,
    aten.reciprocal.default,
    aten.rsqrt.default,
    aten.sigmoid.default,
    aten.softmax.int,
    aten.std.correction,
    aten.std.dim,
    aten.var.correction,
    aten.var.dim,
}


def is_gate(node: fx.Node) -> bool:
    """Whether the node's value is a gate: a sigmoid, softmax, norm ..., or made of nothing but gates."""
    target = origin(node).target
    if target in _GATES:
        return True
    keeps = target in _SCALES or any(
        target in kind for kind in (passing.OPERATIONS, routing.OPERATIONS, sums.OPERATIONS)
    )
    read = activations_read(node)
    return keeps and bool(read) and all(map(is_gate, read))


def signals_of(node: fx.Node) -> list[fx.Node]:
    """The factors of a product that receive relevance."""
    factors = activation_arguments(node)
    if node.target in (aten.div.Tensor, aten.div.Scalar):
        return factors[:1] if is_activation(node.args[0]) and node.args[0] is not node.args[1] else []
    signals = [factor for factor in factors if not is_gate(factor)]
    return list(dict.fromkeys(signals or factors))


def _product(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Linear in each signal while the gates stand still; two signals share equally."""
    signals = signals_of(node)
    factors = [factor for factor in activation_arguments(node) if factor in signals]
    scale = 1.0 if node.target in (aten.div.Tensor, aten.div.Scalar) else 1.0 / max(len(factors), 1)
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer, scale=scale)
    return [
        (signal, Message(gradient, values[signal], exclusive=False))
        for signal, gradient in zip(signals, adjoint(node, values, s, signals))
    ]


def _product_between(node: fx.Node, message: Message, pair: Pair, composite: Composite) -> Sent:
    """``a b - a' b' = (a - a') (b + b') / 2 + (b - b') (a + a') / 2``: a factor is multiplied by the other's mean."""
    signals = signals_of(node)
    s = pair.multiplier(node, message, composite)
    middle = {**pair.batch, **{signal: pair.middle(signal) for signal in signals}}
    return [
        (signal, Message(gradient, pair.difference[signal], exclusive=False))
        for signal, gradient in zip(signals, adjoint(node, middle, s, signals))
    ]


def _cosine(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """A product once the norms stand still; two signals share equally."""
    named = arguments(node)
    axis, least = named["dim"], named["eps"]
    first, second = (resolve(named[name], values) for name in ("x1", "x2"))
    sources = activations_read(node)
    factors = sum(is_activation(named[name]) for name in ("x1", "x2"))
    s = message.over(
        values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer, scale=1 / factors
    )
    norms = [factor.norm(dim=axis, keepdim=True).clamp(min=least) for factor in (first, second)]
    s = s.unsqueeze(axis if axis >= 0 else axis + s.ndim + 1) / (norms[0] * norms[1])
    parts = [
        (source, (s * other).sum_to_size(values[source].shape))
        for source, other in ((named["x1"], second), (named["x2"], first))
        if source in sources
    ]
    return [(source, Message(part, values[source])) for source, part in parts]


def _value_of(node: fx.Node) -> list[fx.Node]:
    return [arguments(node)["value"]]


def _attention(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """The attention weights are a gate: everything goes to the values that they mix."""
    s = message.over(values[node], epsilon=composite.epsilon, stabilizer=composite.stabilizer)
    (value,) = _value_of(node)
    given = {name: resolve(argument, values) for name, argument in arguments(node).items()}
    with torch.enable_grad():  # of the value alone, even where query or key are the same tensor
        given["value"] = given["value"].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(
            aten.scaled_dot_product_attention.default(**given), given["value"], s
        )
    return [(value, Message(gradient, values[value], exclusive=False))]


def _softmax(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """Pass: reached only where a softmax is explained itself, at a model's end."""
    return [(activations_read(node)[0], message)]


def _normalization(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """A linear map once the standard deviation stands still; the shift absorbs its part as a bias does."""
    (source,) = activations_read(node)
    x, y = values[source], values[node]
    bias = arguments(node).get("bias")
    shift = None if bias is None else values[bias]
    if shift is not None and node.target in _BY_CHANNEL:
        shift = shift.view(-1, *[1] * (x.ndim - 2))
    s = message.over(y, epsilon=composite.epsilon, stabilizer=composite.stabilizer, shift=shift)
    return [(source, Message(StandingNorm(node, x, values).adjoint(s), x))]


def _normalization_between(node: fx.Node, message: Message, pair: Pair, composite: Composite) -> Sent:
    """Centred input and deviation both differ from the baseline's, and both take part."""
    (source,) = activations_read(node)
    s = pair.multiplier(node, message, composite)
    ours, other = (StandingNorm(node, each[source], pair.batch) for each in (pair.batch, pair.baseline))
    return [(source, Message(ours.adjoint_between(other, s), pair.difference[source]))]


_BY_CHANNEL = {aten.group_norm.default, aten.instance_norm.default}


class StandingNorm:
    """The linear part of a normalisation whose standard deviations are those of some input.

    Parameters
    ----------
    node : Node
        The normalisation.
    x : Tensor
        What it reads.
    values : dict of Node to Tensor
        Its weight's, if it has one.
    """

    def __init__(self, node: fx.Node, x: Tensor, values: Values) -> None:
        named, by_channel = arguments(node), node.target in _BY_CHANNEL
        self._groups, epsilon, self._centred = _grouping(node, x)
        self._centred_x = self._centre(x.reshape(self._groups))
        self._deviation = torch.rsqrt(self._centred_x.square().mean(-1, keepdim=True) + epsilon)
        weight = None if named["weight"] is None else values[named["weight"]]
        if weight is not None and by_channel:
            weight = weight.view(-1, *[1] * (x.ndim - 2))
        self._weight = weight

    def adjoint(self, s: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to x."""
        sent = self._weighed(s).reshape(self._groups) * self._deviation
        return self._centre(sent).reshape(s.shape)

    def adjoint_between(self, other: StandingNorm, s: Tensor) -> Tensor:
        """What multiplies the difference of the inputs of two normalisations, for `s` that of their outputs.

        With c the centred input, v the mean of its squares and r = 1 / sqrt(v + eps): c r is a product, v a mean of
        products, and ``r - r' = -(v - v') (r r')^2 / (r + r')``.
        """
        r, r_other = self._deviation, other._deviation
        middle = (self._centred_x + other._centred_x) / 2
        weighed = self._weighed(s).reshape(self._groups)
        of_v = -(weighed * middle).sum(-1, keepdim=True) * (r * r_other).square() / (r + r_other)
        of_squares = 2 * middle * of_v / middle.shape[-1]
        return self._centre(weighed * (r + r_other) / 2 + of_squares).reshape(s.shape)

    def _centre(self, grouped: Tensor) -> Tensor:
        return grouped - grouped.mean(-1, keepdim=True) if self._centred else grouped

    def _weighed(self, tensor: Tensor) -> Tensor:
        return tensor if self._weight is None else tensor * self._weight


def _grouping(node: fx.Node, x: Tensor) -> tuple[list[int], float, bool]:
    """How to lay x out so that each statistic is over the last axes; epsilon; whether the mean is taken off."""
    named = arguments(node)
    if node.target in _BY_CHANNEL:
        groups = named["num_groups"] if "num_groups" in named else x.shape[1]
        return [x.shape[0], groups, -1], float(named["eps"]), True
    lengths = list(named["normalized_shape"])
    leading = list(x.shape[: x.ndim - len(lengths)])
    epsilon = named["eps"] if named["eps"] is not None else torch.finfo(x.dtype).eps
    return [*leading, -1], float(epsilon), node.target is aten.layer_norm.default


COSINE = Operation(_cosine, own_factor=True, redistributes=True, overwritable=True)
PRODUCT = Operation(
    _product,
    own_factor=True,
    redistributes=True,
    overwritable=True,
    sources=signals_of,
    between=_product_between,
)
ATTENTION = Operation(_attention, own_factor=True, redistributes=True, overwritable=True, sources=_value_of)
SOFTMAX = Operation(_softmax, own_factor=False, reads_values=False, overwritable=True)
NORMALIZATION = Operation(
    _normalization,
    own_factor=True,
    redistributes=True,
    overwritable=True,
    between=_normalization_between,
)

OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys([*_SCALES, *MATRIX_PRODUCTS], PRODUCT),
    **dict.fromkeys([aten.softmax.int, aten._softmax.default, aten.log_softmax.int], SOFTMAX),
    aten.cosine_similarity.default: COSINE,
    aten.scaled_dot_product_attention.default: ATTENTION,
    aten.layer_norm.default: NORMALIZATION,
    aten.rms_norm.default: NORMALIZATION,
    aten.group_norm.default: NORMALIZATION,
    aten.instance_norm.default: NORMALIZATION,
}
