"""Whether a value of a captured graph rises or falls with another, number by number.

Each node between the two is given a direction and a range, as in interval arithmetic. Statistics of a group of numbers
(their sum, maximum, norm ...) count as the same for the whole group: they normalise it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from hudd.capture.samples import RESHAPES
from hudd.capture.simplify import identity
from hudd.lrp.arguments import arguments
from hudd.lrp.classification import ClassifiedGraph
from hudd.lrp.operations import routing
from hudd.lrp.operations.base import is_activation, origin

aten = torch.ops.aten
INFINITY = math.inf


@dataclass(frozen=True)
class Trend:
    """How a value depends on the one that the question is about.

    Attributes
    ----------
    direction : int
        1 rising, -1 falling, 0 the same for all numbers of a group.
    low, high : float
        Between which the value is.
    """

    direction: int
    low: float = -INFINITY
    high: float = INFINITY

    def flipped(self) -> Trend:
        """Of the negative."""
        return Trend(-self.direction, -self.high, -self.low)


SOFTMAX = {aten.softmax.int, aten._softmax.default, aten.special_softmax.default}
LOG_SOFTMAX = {aten.log_softmax.int, aten._log_softmax.default, aten.special_log_softmax.default}


def _softplus(x: float) -> float:
    return x if x > 30 else math.log1p(math.exp(x))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _logit(x: float) -> float:
    return -INFINITY if x <= 0 else INFINITY if x >= 1 else math.log(x / (1 - x))


# Strictly rising everywhere, with their limits.
RISING: dict[object, Callable[[float], float]] = {
    aten.atan.default: math.atan,
    aten.asinh.default: math.asinh,
    aten.celu.default: lambda x: x,
    aten.elu.default: lambda x: x,
    aten.erf.default: math.erf,
    aten.exp.default: lambda x: math.exp(x) if x < 700 else INFINITY,
    aten.exp2.default: lambda x: 2.0**x if x < 1000 else INFINITY,
    aten.expm1.default: lambda x: math.expm1(x) if x < 700 else INFINITY,
    aten.hardsigmoid.default: lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
    aten.leaky_relu.default: lambda x: x,
    aten.log_sigmoid.default: lambda x: -_softplus(-x),
    aten.selu.default: lambda x: x,
    aten.sigmoid.default: _sigmoid,
    aten.sinh.default: lambda x: math.sinh(x) if abs(x) < 700 else math.copysign(INFINITY, x),
    aten.softplus.default: _softplus,
    aten.special_expit.default: _sigmoid,
    aten.special_log_ndtr.default: lambda x: min(x, 0.0),
    aten.special_ndtr.default: lambda x: 0.5 + 0.5 * math.erf(x / math.sqrt(2)),
    aten.tanh.default: math.tanh,
}
# Strictly rising from a least number on.
RISING_FROM: dict[object, tuple[float, Callable[[float], float]]] = {
    aten.log.default: (0.0, lambda x: math.log(x) if x > 0 else -INFINITY),
    aten.log10.default: (0.0, lambda x: math.log10(x) if x > 0 else -INFINITY),
    aten.log2.default: (0.0, lambda x: math.log2(x) if x > 0 else -INFINITY),
    aten.log1p.default: (-1.0, lambda x: math.log1p(x) if x > -1 else -INFINITY),
    aten.logit.default: (0.0, _logit),
    aten.special_logit.default: (0.0, _logit),
    aten.sqrt.default: (0.0, lambda x: math.sqrt(max(x, 0.0))),
    aten.square.default: (0.0, lambda x: x * x),
}
# Nowhere falling; they change no sign, so that alone they are no head.
WEAKLY_RISING = {
    aten.clamp.default, aten.clamp_max.default, aten.clamp_min.default, aten.hardtanh.default, aten.relu.default,
    aten.relu6.default, aten.nan_to_num.default, aten.to.dtype, aten._to_copy.default, identity,
}  # fmt: skip
STATISTICS = {
    aten.amax.default, aten.amin.default, aten.linalg_vector_norm.default, aten.logsumexp.default, aten.max.dim,
    aten.mean.dim, aten.min.dim, aten.norm.ScalarOpt_dim, aten.std.correction, aten.std.dim, aten.sum.dim_IntList,
    aten.var.correction, aten.var.dim,
}  # fmt: skip
_NEVER_NEGATIVE = {
    aten.linalg_vector_norm.default, aten.norm.ScalarOpt_dim, aten.std.correction, aten.std.dim, aten.var.correction,
    aten.var.dim,
}  # fmt: skip
_POWERS = {aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor}
_FUNCTIONS = {
    aten.neg.default, *_POWERS, aten.reciprocal.default, aten.rsqrt.default, *RISING, *RISING_FROM,
    *WEAKLY_RISING,
}  # fmt: skip
_SPREADING = {aten.expand.default, aten.expand_as.default, *RESHAPES}
_ADD = {aten.add.Tensor, aten.add.Scalar}
_SUBTRACT = {aten.sub.Tensor, aten.sub.Scalar}
_REVERSED = {aten.rsub.Scalar, aten.rsub.Tensor}
_MULTIPLY = {aten.mul.Tensor, aten.mul.Scalar}
_DIVIDE = {aten.div.Tensor, aten.div.Scalar, aten.true_divide.Tensor}


def reduced_axes(node: fx.Node) -> list[int]:
    """The axes that a statistic or softmax is over, counted from the first; all where none is named."""
    value = origin(node).all_input_nodes[0].meta.get("val")
    if not isinstance(value, Tensor):
        return []  # no output of the model's
    ndim = value.ndim
    dim = arguments(origin(node)).get("dim")
    dims = range(ndim) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return [axis % ndim for axis in dims]


class Trends:
    """Directions and ranges in one captured graph.

    Parameters
    ----------
    graph : ClassifiedGraph
        The model.
    image_axes : callable
        Of a node the axis that the images of a batch are along; statistics over it are no normalisation.
    """

    def __init__(self, graph: ClassifiedGraph, image_axes: Callable[[fx.Node], int | None]) -> None:
        self._captured, self._roles, self._image_axis = graph.captured, graph.roles, image_axes

    def range_of(self, node: fx.Node) -> tuple[float, float]:
        """Between which a value is, whatever the model's input."""
        trend = self._trend(node, None, {})
        return (-INFINITY, INFINITY) if trend is None else (trend.low, trend.high)

    def along(self, node: fx.Node, bottom: fx.Node) -> Trend | None:
        """How `node` depends on `bottom`, number by number; None if that cannot be told."""
        return self._trend(node, bottom, {})

    def _trend(
        self, node: object, bottom: fx.Node | None, known: dict[fx.Node, Trend | None]
    ) -> Trend | None:
        if isinstance(node, (int, float)):
            return Trend(0, float(node), float(node))
        if not isinstance(node, fx.Node):
            return None
        if node not in known:
            known[node] = None  # meanwhile
            known[node] = self._computed(node, bottom, known)
        return known[node]

    def _computed(
        self, node: fx.Node, bottom: fx.Node | None, known: dict[fx.Node, Trend | None]
    ) -> Trend | None:
        if node is bottom:
            return Trend(1, *self.range_of(node))
        constant = self._captured.constant(node)
        if constant is not None:
            return Trend(0, float(constant.min()), float(constant.max())) if constant.numel() else None
        if node.op != "call_function" or not is_activation(node):
            return None
        made = self._by_rule(node, lambda source: self._trend(source, bottom, known))
        if made is not None or bottom is not None:
            return made
        if self._roles[node].origin.target not in routing.KEEP_SIGN:
            return Trend(1)
        moved = [
            self._trend(source, None, known) or Trend(1)
            for source in self._roles[node].origin.all_input_nodes
        ]
        return Trend(1, min(trend.low for trend in moved), max(trend.high for trend in moved))

    def _by_rule(self, node: fx.Node, of: Callable[[object], Trend | None]) -> Trend | None:
        first = self._roles[node].origin
        target = first.target
        if target in SOFTMAX or target in LOG_SOFTMAX:
            inner = of(first.args[0])
            limits = (0.0, 1.0) if target in SOFTMAX else (-INFINITY, 0.0)
            return None if inner is None or not inner.direction else Trend(inner.direction, *limits)
        if target in STATISTICS:
            indices = node.target is operator.getitem and node.args[1] != 0
            return None if indices else self._statistic(node, of(first.args[0]))
        if target in _SPREADING or target is aten.unsqueeze.default:
            inner = of(first.args[0])
            keeps = inner is not None and (not inner.direction or _same_shape(node, first.args[0]))
            return inner if keeps else None
        if target in (*_ADD, *_SUBTRACT, *_REVERSED):
            return self._sum(first, of)
        if target in _MULTIPLY:
            return _product(of(first.args[0]), of(first.args[1]))
        if target in _DIVIDE:
            return _product(of(first.args[0]), _inverse(of(first.args[1])))
        if target not in _FUNCTIONS or not is_activation(first.args[0]):
            return None
        inner = of(first.args[0])
        return None if inner is None else self._function(first, inner)

    def _statistic(self, node: fx.Node, inner: Trend | None) -> Trend | None:
        first = self._roles[node].origin
        target, source = first.target, first.args[0]
        if inner is None or not isinstance(source, fx.Node) or self._image_axis(source) in reduced_axes(node):
            return None
        if target in _NEVER_NEGATIVE or (target is aten.sum.dim_IntList and inner.low >= 0):
            return Trend(0, 0.0, INFINITY)
        if target is aten.sum.dim_IntList:
            return Trend(0, -INFINITY, 0.0 if inner.high <= 0 else INFINITY)
        return Trend(0, inner.low, INFINITY if target is aten.logsumexp.default else inner.high)

    def _sum(self, node: fx.Node, of: Callable[[object], Trend | None]) -> Trend | None:
        if arguments(node).get("alpha", 1) != 1:
            return None
        first, second = of(node.args[0]), of(node.args[1])
        if first is None or second is None:
            return None
        if node.target in _SUBTRACT:
            second = second.flipped()
        elif node.target in _REVERSED:
            first = first.flipped()
        if {first.direction, second.direction} == {1, -1}:
            return None
        direction = first.direction or second.direction
        return Trend(direction, first.low + second.low, first.high + second.high)

    def _function(self, node: fx.Node, inner: Trend) -> Trend | None:
        target = node.target
        if target is aten.neg.default:
            return inner.flipped()
        if target in RISING:
            f = RISING[target]
            return Trend(inner.direction, f(inner.low), f(inner.high))
        if target in RISING_FROM:
            least, f = RISING_FROM[target]
            return Trend(inner.direction, f(inner.low), f(inner.high)) if inner.low >= least else None
        if target in WEAKLY_RISING:
            return _clamped(node, inner)
        if target is aten.reciprocal.default:
            return _inverse(inner)
        if target is aten.rsqrt.default and inner.low >= 0:
            return _inverse(Trend(inner.direction, math.sqrt(inner.low), math.sqrt(inner.high)))
        return self._power(node, inner) if target in _POWERS and inner.low >= 0 else None

    def _power(self, node: fx.Node, inner: Trend) -> Trend | None:
        """To a constant power above zero, one for all numbers or one per class."""
        powers = self._trend(node.args[1], None, {}) if not is_activation(node.args[1]) else None
        if powers is None or powers.low <= 0:
            return None
        ends = [limit**power for limit in (inner.low, inner.high) for power in (powers.low, powers.high)]
        return Trend(inner.direction, min(ends), max(ends))


def _clamped(node: fx.Node, inner: Trend) -> Trend:
    named, target = arguments(node) if node.target is not identity else {}, node.target
    low, high = named.get("min"), named.get("max")
    low = named.get("min_val", low) if target is aten.hardtanh.default else low
    high = named.get("max_val", high) if target is aten.hardtanh.default else high
    low = 0.0 if target in (aten.relu.default, aten.relu6.default) else low
    limits = [inner.low, inner.high]
    if isinstance(low, (int, float)):
        limits = [max(limit, float(low)) for limit in limits]
    if isinstance(high, (int, float)):
        limits = [min(limit, float(high)) for limit in limits]
    return Trend(inner.direction, *limits)


def _inverse(trend: Trend | None) -> Trend | None:
    """Of ``1 / x`` for x of one sign."""
    if trend is None or (trend.low < 0 < trend.high):
        return None
    if trend.high <= 0:
        inverse = _inverse(trend.flipped())
        return None if inverse is None else inverse.flipped()
    high = 1 / trend.low if trend.low > 0 else INFINITY
    return Trend(-trend.direction, 1 / trend.high if trend.high > 0 else INFINITY, high)


def _product(first: Trend | None, second: Trend | None) -> Trend | None:
    if first is None or second is None:
        return None
    for one, other in ((first, second), (second, first)):
        if not one.direction and one.high <= 0:
            inner = _product(one.flipped(), other)
            return None if inner is None else inner.flipped()
    if first.direction and second.direction:  # both matter: each must be a factor that is never negative
        alike = first.direction == second.direction and first.low >= 0 and second.low >= 0
        return (
            Trend(first.direction, first.low * second.low, _times(first.high, second.high)) if alike else None
        )
    varying, constant = (first, second) if first.direction else (second, first)
    if constant.low < 0:
        return None if varying.direction else Trend(0)
    ends = [_times(a, b) for a in (varying.low, varying.high) for b in (constant.low, constant.high)]
    return Trend(varying.direction, min(ends), max(ends))


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _same_shape(node: object, other: object) -> bool:
    first, second = (getattr(n, "meta", {}).get("val") for n in (node, other))
    return isinstance(first, Tensor) and isinstance(second, Tensor) and str(first.shape) == str(second.shape)
