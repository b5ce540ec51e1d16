"""Linear operations with weights (convolutions, linear layers): what they compute and how they send back.

The dense work is torch's (oneDNN, cuDNN), but for a shortcut to some gradients on the CPU; only the gradient with
respect to the input is ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from hudd.capture.graph import RelevanceGraph, carries, module_of, target_name
from hudd.errors import UnsupportedOperation
from hudd.lrp import kernels
from hudd.lrp.phases import Phases
from hudd.lrp.winograd import Winograd

aten = torch.ops.aten

_FEW = 8  # input channels: half a vector of the widest unit
_AT_HAND = 1 << 24  # bytes; larger blocks come fresh from the system, each page to be cleared first

_CONVOLUTIONS = {aten.conv1d.default, aten.conv2d.default, aten.conv3d.default}
_PADDED_CONVOLUTIONS = {aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding}
_TRANSPOSED = {aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input}
_PRODUCTS = {aten.matmul.default, aten.mm.default, aten.addmm.default}
_WEIGHTED = {
    aten.linear.default,
    aten.convolution.default,
    *_CONVOLUTIONS,
    *_PADDED_CONVOLUTIONS,
    *_TRANSPOSED,
}


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of a call by their names in the operation's schema, defaults included."""
    schema = node.target._schema  # type: ignore[union-attr]
    named = {
        argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()
    }
    named.update(zip((argument.name for argument in schema.arguments), node.args))
    named.update(node.kwargs)
    return named


class Contraction:
    """``z = contract(x, weight) + bias``, and its adjoint.

    Parameters
    ----------
    weight : Tensor
        As torch lays it out for the operation.
    bias : Tensor or None
        One number an output channel.
    """

    is_convolution = False
    groups = 1
    features_axis = -1  # of an input: the one that the weights sum over
    _inputs_axis = 1  # of the weight

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias
        self._modified: dict[str, Contraction] = {}
        self._beside: dict[Contraction, Contraction] = {}

    @property
    def shift(self) -> Tensor | None:
        """The constant summand, the bias, broadcastable to the output."""
        if self.bias is None or not self.is_convolution:
            return self.bias
        return self.bias.view(-1, *[1] * (self.weight.ndim - 2))

    def forward(self, x: Tensor) -> Tensor:
        """The operation's output."""
        return functional.linear(x, self.weight, self.bias)

    def adjoint(self, s: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to `x`; of `x` only the shape matters."""
        return torch.matmul(s, self.weight)

    def _with(self, weight: Tensor, bias: Tensor | None) -> Contraction:
        return Contraction(weight, bias)

    def modified(self, name: str, change: Callable[[Tensor], Tensor], *, bias: bool) -> Contraction:
        """The same operation with changed weights and, if `bias`, a changed bias, else none; made once and kept."""
        if name not in self._modified:
            changed_bias = change(self.bias) if bias and self.bias is not None else None
            self._modified[name] = self._with(change(self.weight), changed_bias)
        return self._modified[name]

    def positive(self, *, bias: bool = True) -> Contraction:
        """With the positive parts of the weights."""
        return self.modified(f"positive{bias}", lambda tensor: tensor.clamp(min=0), bias=bias)

    def negative(self, *, bias: bool = True) -> Contraction:
        """With the negative parts of the weights."""
        return self.modified(f"negative{bias}", lambda tensor: tensor.clamp(max=0), bias=bias)

    def beside(self, other: Contraction) -> Contraction:
        """The sum of this operation and a bias-free one, reading their inputs one after the other; made once and kept.

        One pass over twice the inputs costs less than two passes, above all where the inputs are few.
        """
        if other not in self._beside:
            weight = torch.cat([self.weight, other.weight], self._inputs_axis)
            self._beside[other] = self._with(weight, self.bias)
        return self._beside[other]


class BySign:
    """A contraction with one set of weights for positive inputs and another for negative ones.

    Parameters
    ----------
    for_positive : Contraction
        Reads the positive part of the input; has the bias.
    for_negative : Contraction
        Reads the negative part; has no bias.
    """

    def __init__(self, for_positive: Contraction, for_negative: Contraction) -> None:
        self._parts = for_positive, for_negative
        self._both = for_positive.beside(for_negative) if for_positive.groups == 1 else None
        self.shift = for_positive.shift

    def forward(self, x: Tensor) -> Tensor:
        """The operation's output."""
        if self._both is not None:
            return self._both.forward(kernels.split(x, self._both.features_axis))
        for_positive, for_negative = self._parts
        return for_positive.forward(x.clamp(min=0)).add_(for_negative.forward(x.clamp(max=0)))

    def adjoint(self, s: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to `x`."""
        if self._both is not None:
            axis = self._both.features_axis
            pieces = [
                kernels.by_sign(
                    x[rows], self._both.adjoint(s[rows], kernels.room_for_parts(x[rows], axis)), axis
                )
                for rows in _stretches(x)
            ]
            return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        positive, negative = (part.adjoint(s, x) for part in self._parts)
        return torch.where(x > 0, positive, negative)


class Convolution(Contraction):
    """Convolution and transposed convolution, 1-d to 3-d, with any stride, padding, dilation and groups."""

    is_convolution = True
    features_axis = 1

    def __init__(self, weight: Tensor, bias: Tensor | None, geometry: dict[str, Any]) -> None:
        super().__init__(weight, bias)
        self._geometry = geometry
        self._crop: list[tuple[int, int]] = geometry["extra_padding"]
        self._inputs_axis = 0 if geometry["transposed"] else 1
        self.groups = geometry["groups"]
        self._options = (
            geometry["stride"],
            geometry["padding"],
            geometry["dilation"],
            geometry["transposed"],
            geometry["output_padding"],
            geometry["groups"],
        )

    def _pad(self, x: Tensor) -> Tensor:
        if not self._crop:
            return x
        return functional.pad(x, [side for sides in reversed(self._crop) for side in sides])

    def forward(self, x: Tensor) -> Tensor:
        """The operation's output."""
        return aten.convolution.default(self._pad(x), self.weight, self.bias, *self._options)

    def adjoint(self, s: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to `x`; of `x` only the shape matters."""
        if self._shortcut is not None:
            return self._shortcut.adjoint(s, x.shape)
        mask = [True, False, False]
        padded = self._pad(x)
        gradient = aten.convolution_backward.default(s, padded, self.weight, None, *self._options, mask)[0]
        for axis, (before, _) in enumerate(self._crop):
            gradient = gradient.narrow(axis + 2, before, x.shape[axis + 2])
        return gradient

    @cached_property
    def _shortcut(self) -> Phases | Winograd | None:
        """A faster way to the gradient on the CPU."""
        geometry, weight = self._geometry, self.weight
        plain = self.groups == 1 and not geometry["transposed"] and not self._crop
        undilated = all(step == 1 for step in geometry["dilation"])
        if weight.ndim != 4 or weight.device.type != "cpu" or not plain or not undilated:
            return None
        if weight.shape[1] <= _FEW:
            return Phases(weight, geometry["stride"], geometry["padding"])
        if Winograd.fits(weight, geometry["stride"], geometry["padding"]):
            return Winograd(weight, geometry["padding"])
        return None

    def _with(self, weight: Tensor, bias: Tensor | None) -> Contraction:
        return Convolution(weight, bias, self._geometry)


def _stretches(x: Tensor) -> list[slice]:
    """Stretches of a batch whose intermediate results an allocator takes from memory that it has at hand."""
    if x.is_cuda:  # torch has an allocator of its own there
        return [slice(None)]
    samples = max(1, _AT_HAND // max(1, 2 * x[0].numel() * x.element_size()))
    return [slice(start, start + samples) for start in range(0, x.shape[0], samples)]


def _expanded(value: Any, axes: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def _convolution(node: fx.Node, weight: Tensor, bias: Tensor | None) -> Convolution:
    named = arguments(node)
    axes = weight.ndim - 2
    geometry: dict[str, Any] = {
        "stride": _expanded(named["stride"], axes),
        "dilation": _expanded(named["dilation"], axes),
        "groups": int(named["groups"]),
        "transposed": node.target in _TRANSPOSED or bool(named.get("transposed", False)),
        "output_padding": _expanded(named.get("output_padding", 0), axes),
        "extra_padding": [],
    }
    if node.target in _PADDED_CONVOLUTIONS:
        same = named["padding"] == "same"
        spans = [(size - 1) * step for size, step in zip(weight.shape[2:], geometry["dilation"])]
        sides = [(span // 2, span - span // 2) if same else (0, 0) for span in spans]
        if any(before != after for before, after in sides):
            geometry["extra_padding"] = sides
            sides = [(0, 0)] * axes
        geometry["padding"] = [before for before, _ in sides]
    else:
        geometry["padding"] = _expanded(named["padding"], axes)
    return Convolution(weight, bias, geometry)


def is_contraction(node: fx.Node, captured: RelevanceGraph) -> bool:
    """Whether the node is a linear operation with weights; a matrix product of two activations is not."""
    if node.target in _PRODUCTS:
        return any(captured.constant(read) is not None for read in node.all_input_nodes)
    return node.target in _WEIGHTED


def contraction_of(node: fx.Node, captured: RelevanceGraph) -> Contraction:
    """Make the contraction of a node for which :func:`is_contraction` holds.

    Raises
    ------
    UnsupportedOperation
        If the weight is computed from the model's input.
    """
    named = arguments(node)
    if node.target in _PRODUCTS:
        left, right = (
            (named["mat1"], named["mat2"])
            if "mat1" in named
            else (named.get("self"), named.get("other", named.get("mat2")))
        )
        matrix = captured.constant(right)
        scaled = named.get("alpha", 1) != 1 or named.get("beta", 1) != 1
        if matrix is not None and matrix.ndim == 2 and carries(left) and not scaled:
            bias = captured.constant(named["self"]) if node.target is aten.addmm.default else None
            return Contraction(matrix.t().contiguous(), bias)
    else:
        weight = captured.constant(named["weight"])
        bias = captured.constant(named.get("bias"))
        if weight is not None and (named.get("bias") is None or bias is not None):
            if node.target is aten.linear.default:
                return Contraction(weight, bias)
            return _convolution(node, weight, bias)
    raise UnsupportedOperation(
        target_name(node),
        module_of(node),
        "Its weight is not a parameter of the model; a product of two activations has no rule yet. "
        "Explain a part of the model that does without it.",
    )


def data_input(node: fx.Node) -> fx.Node:
    """The activation that a contraction reads."""
    named = arguments(node)
    source = named.get("mat1") if "mat1" in named else named.get("input", named.get("self"))
    assert isinstance(source, fx.Node)
    return source
