"""What stands against a rule: operations that have none, and arguments with which one that has a rule has none."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from hudd.capture.graph import RelevanceGraph
from hudd.capture.samples import RESHAPES
from hudd.capture.simplify import identity
from hudd.lrp.operations.base import is_activation

aten = torch.ops.aten

_REMEDY = (
    "Rewrite that part of the model with operations that hudd knows, or explain the part that comes after it."
)
_DISTANCE = (
    "A distance to prototypes has no parts that add up to it; explain the module that makes the features, or score "
    "them by a product with the prototypes (x @ p.T, or cosine similarity), which has a rule."
)
_DISTANCES = {
    aten._cdist_forward.default,
    aten.cdist.default,
    aten.dist.default,
    aten.pairwise_distance.default,
}
_SQUARES = {aten.mul.Tensor, aten.pow.Tensor_Scalar, aten.square.default, aten.abs.default}
_NORMS = {aten.linalg_vector_norm.default, aten.norm.ScalarOpt_dim}
_SPREADING = {identity, aten.expand.default, *RESHAPES}


def remedy_for(node: fx.Node, captured: RelevanceGraph | None = None) -> str:
    """What to do about an operation without a rule."""
    norm = captured is not None and node.target in _NORMS and _difference(node.args[0], captured)
    distance = norm or node.target in _DISTANCES or _squared_difference(node, captured)
    return _DISTANCE if distance else _REMEDY


def obstacle(node: fx.Node, captured: RelevanceGraph | None = None) -> str | None:
    """What stands against the operation's rule with these arguments; None where nothing does."""
    if node.target is aten.pow.Tensor_Scalar and not float(node.args[1]) > 0:  # type: ignore[arg-type]
        return "A negative power is no activation: it grows as its input vanishes."
    if node.target is aten.pow.Tensor_Tensor:
        return _about_power(node, captured)
    if node.target is aten.addcmul.default and all(map(is_activation, node.args[1:3])):
        return "A product of two activations and a sum at once has no rule."
    if _squared_difference(node, captured):
        return "It measures the distance to a parameter."
    return None


def _about_power(node: fx.Node, captured: RelevanceGraph | None) -> str | None:
    if is_activation(node.args[1]):
        return "Its exponent depends on the model's input."
    exponent = None if captured is None else captured.constant(node.args[1])
    if exponent is not None and not bool((exponent > 0).all()):
        return "A negative power is no activation: it grows as its input vanishes."
    return None


def _squared_difference(node: fx.Node, captured: RelevanceGraph | None) -> bool:
    return captured is not None and _squares(node) and _difference(node.args[0], captured)


def _squares(node: fx.Node) -> bool:
    if node.target is aten.mul.Tensor:
        return node.args[0] is node.args[1]
    if node.target is aten.pow.Tensor_Scalar:
        return float(node.args[1]) == 2  # type: ignore[arg-type]
    return node.target in _SQUARES


def _difference(node: Any, captured: RelevanceGraph) -> bool:
    """Whether a value is that of a layer minus a parameter, or the reverse."""
    while isinstance(node, fx.Node) and node.target in _SPREADING:
        node = node.all_input_nodes[0]
    if not isinstance(node, fx.Node) or node.target not in (aten.sub.Tensor, aten.rsub.Tensor):
        return False
    constants = [captured.constant(read) for read in node.args[:2] if not is_activation(read)]
    return any(constant is not None and constant.numel() > 1 for constant in constants)
