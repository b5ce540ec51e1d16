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

from hudd.capture.graph import RelevanceGraph, carries, module_of, parameter_of, target_name
from hudd.errors import UnsupportedOperation
from hudd.lrp import kernels
from hudd.lrp.arguments import arguments
from hudd.lrp.phases import Phases
from hudd.lrp.transformed import Itself, Kept, identity, same_shape
from hudd.lrp.winograd import Winograd

aten = torch.ops.aten

_FEW = 8  # input channels: half a vector of the widest unit
_AT_HAND = 1 << 24  # bytes; larger blocks come fresh from the system, each page to be cleared first
_CONVOLUTIONS = {aten.conv1d.default, aten.conv2d.default, aten.conv3d.default}
_PADDED_CONVOLUTIONS = {aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding}
_TRANSPOSED = {aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input}
_PRODUCTS = {aten.matmul.default, aten.mm.default, aten.bmm.default, aten.addmm.default}
_WEIGHTED = {
    aten.linear.default,
    aten.convolution.default,
    *_CONVOLUTIONS,
    *_PADDED_CONVOLUTIONS,
    *_TRANSPOSED,
}


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
    joins = True  # can be joined with another
    features_axis = -1  # of an input: the one that the weights sum over
    _inputs_axis = 1  # of the weight

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias
        self._modified: Kept[Contraction] = Kept()
        self._joined: Kept[Contraction] = Kept()

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
        """The same operation with changed weights and, if `bias`, a changed bias, else none; made once and kept.

        Parameters
        ----------
        name : str
            What messages call the change.
        change : callable
            From a tensor to one of its shape. What was made is found by it, see :func:`hudd.lrp.transformed.identity`.
        bias : bool
            Change the bias, too; without, there is none.

        Raises
        ------
        HuddError
            If the change returns another shape.
        """

        def make() -> Contraction:
            changed = (
                None if self.bias is None or not bias else same_shape(name, change(self.bias), self.bias)
            )
            return self._with(same_shape(name, change(self.weight), self.weight), changed)

        return self._modified.get((identity(change), bias), make)

    def positive(self, *, bias: bool = True) -> Contraction:
        """With the positive parts of the weights."""
        return self.modified("positive", lambda tensor: tensor.clamp(min=0), bias=bias)

    def negative(self, *, bias: bool = True) -> Contraction:
        """With the negative parts of the weights."""
        return self.modified("negative", lambda tensor: tensor.clamp(max=0), bias=bias)

    def joined(self, other: Contraction) -> Contraction:
        """The sum of this operation and a bias-free one, reading their inputs one after the other; made once and kept.

        One pass over twice the inputs costs less than two passes, above all where the inputs are few.
        """
        return self._joined.get(
            Itself(other),
            lambda: self._with(torch.cat([self.weight, other.weight], self._inputs_axis), self.bias),
        )


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
        self._both = for_positive.joined(for_negative) if for_positive.joins else None
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
        self.joins = geometry["groups"] == 1
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
        output: Tensor = aten.convolution.default(self._pad(x), self.weight, self.bias, *self._options)
        return output

    def adjoint(self, s: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to `x`; of `x` only the shape matters."""
        if self._shortcut is not None:
            return self._shortcut.adjoint(s, x.shape)
        mask = [True, False, False]
        padded = self._pad(x)
        gradient: Tensor = aten.convolution_backward.default(
            s, padded, self.weight, None, *self._options, mask
        )[0]
        for axis, (before, _) in enumerate(self._crop):
            gradient = gradient.narrow(axis + 2, before, x.shape[axis + 2])
        return gradient

    @cached_property
    def _shortcut(self) -> Phases | Winograd | None:
        """A faster way to the gradient on the CPU."""
        geometry, weight = self._geometry, self.weight
        plain = self.joins and not geometry["transposed"] and not self._crop
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


class MatrixProduct(Contraction):
    """``x @ weight + bias`` or, with the weight on the left, ``weight @ x + bias``, as torch multiplies matrices.

    Parameters
    ----------
    weight : Tensor
        One matrix, or several along the axes before the last two.
    bias : Tensor or None
        Broadcastable to the output.
    on_left : bool
        Where the weight stands.
    """

    joins = False

    def __init__(self, weight: Tensor, bias: Tensor | None, *, on_left: bool) -> None:
        super().__init__(weight, bias)
        self._on_left = on_left
        self.features_axis = -2 if on_left else -1

    def _times(self, matrix: Tensor, tensor: Tensor) -> Tensor:
        return torch.matmul(matrix, tensor) if self._on_left else torch.matmul(tensor, matrix)

    def forward(self, x: Tensor) -> Tensor:
        """The operation's output."""
        z = self._times(self.weight, x)
        return z if self.bias is None else z.add_(self.bias)

    def adjoint(self, s: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``<s, forward(x)>`` with respect to `x`; of `x` only the shape matters."""
        return self._times(self.weight.mT, s).sum_to_size(x.shape)

    def _with(self, weight: Tensor, bias: Tensor | None) -> Contraction:
        return MatrixProduct(weight, bias, on_left=self._on_left)


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


def _factors(node: fx.Node) -> tuple[fx.Node, fx.Node]:
    """What a matrix product multiplies."""
    named = arguments(node)
    left = named["mat1"] if "mat1" in named else named["self"]
    return left, named["other"] if "other" in named else named["mat2"]


def _for_images(node: fx.Node, images: int, captured: RelevanceGraph) -> Any:
    """What is made of parameters and of the number of images alone, for so many; None for anything else.

    What a layer makes, such as a query that is learned, is no weight.
    """
    size, known = node.meta.get("val"), captured.constant(node)
    if isinstance(size, torch.SymInt):
        expression = size.node.expr
        return int(expression.subs(dict.fromkeys(expression.free_symbols, images)))
    if known is not None or node.op != "call_function" or carries(node) or node.target in _WEIGHTED:
        return known
    values = {read: _for_images(read, images, captured) for read in node.all_input_nodes}
    if any(value is None for value in values.values()):
        return None
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def is_contraction(node: fx.Node, captured: RelevanceGraph) -> bool:
    """Whether the node is a linear operation with weights; a matrix product of two activations is not."""
    if node.target in _PRODUCTS:
        return any(_for_images(factor, 1, captured) is not None for factor in _factors(node))
    return node.target in _WEIGHTED


def contraction_of(node: fx.Node, captured: RelevanceGraph) -> Contraction:
    """Make the contraction of a node for which :func:`is_contraction` holds.

    Raises
    ------
    UnsupportedOperation
        If the weight or the bias is computed from the model's input, or the weight is not one matrix product's for
        every image.
    """
    if node.target in _PRODUCTS:
        return _matrix_product(node, captured)
    named = arguments(node)
    weight, bias = captured.constant(named["weight"]), captured.constant(named.get("bias"))
    if weight is None or (named.get("bias") is not None and bias is None):
        raise _refusal(node, "Its weight or bias is not a parameter of the model.")
    if node.target is aten.linear.default:
        return Contraction(weight, bias)
    return _convolution(node, weight, bias)


def _refusal(node: fx.Node, reason: str) -> UnsupportedOperation:
    remedy = f"{reason} Explain a part of the model that does without it."
    return UnsupportedOperation(target_name(node), module_of(node), remedy)


def _matrix_product(node: fx.Node, captured: RelevanceGraph) -> Contraction:
    named, (left, right) = arguments(node), _factors(node)
    on_left = carries(right)
    weight, for_two = (_for_images(left if on_left else right, images, captured) for images in (1, 2))
    if not _repeats(for_two, weight):
        raise _refusal(node, "Its weight is not the same for every image.")
    if weight.ndim < 2:
        raise _refusal(node, "A product with a vector has no rule; one with a matrix has.")
    if node.target is aten.bmm.default and len(weight) == 1:
        weight = weight[0]
    bias = None
    if node.target is aten.addmm.default:
        bias = captured.constant(named["self"])
        if bias is None:
            raise _refusal(node, "Its summand is not a parameter of the model.")
        weight, bias = named["alpha"] * weight, named["beta"] * bias
    if not on_left and weight.ndim == 2 and (bias is None or bias.ndim == 1):
        return Contraction(weight.t().contiguous(), bias)
    return MatrixProduct(weight, bias, on_left=on_left)


def _repeats(several: Tensor, one: Tensor) -> bool:
    """Whether matrices for several images are those of one, along an axis of their own."""
    if several is one:
        return True
    repeated = [size if single == 1 else single for single, size in zip(one.shape[:-2], several.shape)]
    return several.shape == (*repeated, *one.shape[-2:]) and torch.equal(one.expand_as(several), several)


def weight_parameter(node: fx.Node) -> str:
    """Path of the parameter that a contraction's weight is, or is computed from; empty if it is none."""
    if node.target in _PRODUCTS:
        left, right = _factors(node)
        return parameter_of(right if carries(left) else left)
    return parameter_of(arguments(node)["weight"])


def data_input(node: fx.Node) -> fx.Node:
    """The activation that a contraction reads."""
    if node.target in _PRODUCTS:
        left, right = _factors(node)
        return left if carries(left) else right
    source = arguments(node)["input"]
    assert isinstance(source, fx.Node)
    return source
