"""Graph rewrites that leave the model's function as it is: identities without copies, batch norm folded or affine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from hudd.capture.graph import Call, RelevanceGraph, carries, parameter_of

aten = torch.ops.aten

_IDENTITIES = {
    aten.alias.default,
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.detach_.default,
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.lift_fresh_copy.default,
}
_SQUEEZES = {aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims}
_WHOLE = 2**62  # a slice that ends beyond this takes the whole axis

# Operations that batch norm folds into: where their weight's output channels are.
_FOLDABLE = {
    aten.conv1d.default: 0,
    aten.conv2d.default: 0,
    aten.conv3d.default: 0,
    aten.conv1d.padding: 0,
    aten.conv2d.padding: 0,
    aten.conv3d.padding: 0,
    aten.linear.default: 0,
    aten.conv_transpose1d.default: 1,
    aten.conv_transpose2d.input: 1,
    aten.conv_transpose3d.input: 1,
}


def affine_channels(inputs: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``inputs * scale + shift`` with one scale and shift a channel (axis 1); what batch norm is in evaluation mode."""
    shape = [1, -1] + [1] * (inputs.ndim - 2)
    return torch.addcmul(shift.view(shape), inputs, scale.view(shape))


def identity(inputs: Tensor) -> Tensor:
    """What dropout is in evaluation mode: kept in the graph, without a copy, so that its layer has a name."""
    return inputs


def simplify(captured: RelevanceGraph) -> None:
    """Rewrite the graph in place."""
    _fold_constants(captured)
    _unify_identities(captured)
    _name_squeezed_axes(captured)
    _loosen_views(captured)
    _replace_batch_norms(captured)
    captured.graph.eliminate_dead_code()


def _fold_constants(captured: RelevanceGraph) -> None:
    """Compute once what depends on parameters alone: a bias that forward puts together, a standardized weight."""
    computed: dict[Call, Any] = {}
    for node in list(captured.graph.nodes):
        known = all(captured.constant(read) is not None or read in computed for read in node.all_input_nodes)
        if node.op != "call_function" or carries(node) or not known or not node.all_input_nodes:
            continue
        with torch.no_grad():
            values = {read: computed.get(read, captured.constant(read)) for read in node.all_input_nodes}
            arguments = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            value = node.target(*arguments[0], **arguments[1])
        if isinstance(value, Tensor):
            made = captured.add_constant(f"{node.name}_folded", value, parameter_of(node))
            _replace(captured, node, made)
        else:
            computed[node] = value  # of several outputs


def _loosen_views(captured: RelevanceGraph) -> None:
    """Let views copy where they must: the memory layout of a batch may be another than that of the example."""
    for node in captured.graph.nodes:
        if node.target in (aten.view.default, aten._unsafe_view.default):
            node.target = aten.reshape.default


def _name_squeezed_axes(captured: RelevanceGraph) -> None:
    """Squeeze the axes that have one number for any batch: a batch of one is a batch."""
    for node in captured.graph.nodes:
        if node.target in _SQUEEZES:
            source, *named = node.args
            shape = source.meta["val"].shape
            axes = named[0] if named else range(len(shape))
            axes = [axes] if isinstance(axes, int) else axes
            node.args = (source, [axis for axis in axes if isinstance(shape[axis], int) and shape[axis] == 1])
            node.target = aten.squeeze.dims


def _replace(captured: RelevanceGraph, node: Call, replacement: Call) -> None:
    node.replace_all_uses_with(replacement)
    captured.outputs[:] = [replacement if output is node else output for output in captured.outputs]
    captured.graph.erase_node(node)


def _is_identity(node: Call) -> bool:
    if node.target in _IDENTITIES:
        return True
    if node.target is aten.slice.Tensor:
        axis_and_range = [*node.args[1:], *(0, None, None)[len(node.args) - 1 :]]
        start, end, step = axis_and_range[1], axis_and_range[2], axis_and_range[3:]
        return (
            start in (0, None)
            and (end is None or (isinstance(end, int) and end >= _WHOLE))
            and step in ([], [1])
        )
    return False


def _unify_identities(captured: RelevanceGraph) -> None:
    for node in captured.graph.nodes:
        if node.op == "call_function" and carries(node) and _is_identity(node):
            node.target = identity
            node.args, node.kwargs = (node.all_input_nodes[0],), {}


def _replace_batch_norms(captured: RelevanceGraph) -> None:
    """Fold batch norm into the linear operation before it where that has no other reader; else keep it as affine."""
    for node in list(captured.graph.nodes):
        if node.target is aten._native_batch_norm_legit_no_training.default:
            source, weight, bias, mean, variance, _, epsilon = node.args
            (normalized,) = node.users  # the saved statistics have no readers in evaluation mode
        elif node.target is aten.instance_norm.default and not node.args[5]:  # by running statistics
            source, weight, bias, mean, variance, _, _, epsilon, _ = node.args
            normalized = node
        else:
            continue
        running = [captured.constant(argument) for argument in (mean, variance, weight, bias)]
        mean_value, variance_value = running[0], running[1]
        assert mean_value is not None
        assert variance_value is not None
        scale = torch.rsqrt(variance_value.double() + epsilon)
        if running[2] is not None:
            scale = scale * running[2].double()
        shift = -mean_value.double() * scale
        if running[3] is not None:
            shift = shift + running[3].double()
        operation: tuple[Any, ...]
        if source.target in _FOLDABLE and len(source.users) == 1 and _fold(captured, source, scale, shift):
            operation = (identity, source)  # the layer keeps its name
        else:
            dtype = mean_value.dtype
            scale_node = captured.add_constant(f"{node.name}_scale", scale.to(dtype))
            shift_node = captured.add_constant(f"{node.name}_shift", shift.to(dtype))
            operation = (affine_channels, source, scale_node, shift_node)
        with captured.graph.inserting_before(node):
            replacement = captured.graph.call_function(operation[0], operation[1:])
        replacement.meta = {**node.meta, "val": normalized.meta["val"]}
        _replace(captured, normalized, replacement)
        if node is not normalized:
            captured.graph.erase_node(node)


def _fold(captured: RelevanceGraph, linear: Call, scale: Tensor, shift: Tensor) -> bool:
    if linear.target is aten.linear.default and linear.meta["val"].ndim != 2:
        return False  # batch norm scales axis 1, which is not that of a linear layer's features here
    weight = captured.constant(linear.args[1])
    bias_node = linear.args[2] if len(linear.args) > 2 else linear.kwargs.get("bias")
    bias = captured.constant(bias_node)
    if weight is None or (bias_node is not None and bias is None):
        return False
    groups = _groups(linear)
    axis = _FOLDABLE[linear.target]  # type: ignore[index]
    if axis == 1 and groups > 1:
        return False  # a grouped transposed convolution spreads its output channels over two axes
    shape = [1] * weight.ndim
    shape[axis] = -1
    folded = (weight.double() * scale.view(shape)).to(weight.dtype)
    folded_bias = shift if bias is None else shift + bias.double() * scale
    parameter = parameter_of(linear.args[1])  # type: ignore[arg-type]
    weight_node = captured.add_constant(f"{linear.name}_folded_weight", folded, parameter)
    bias_node = captured.add_constant(f"{linear.name}_folded_bias", folded_bias.to(weight.dtype))
    linear.args = (linear.args[0], weight_node, bias_node, *linear.args[3:])
    linear.kwargs = {name: value for name, value in linear.kwargs.items() if name != "bias"}
    return True


def _groups(linear: Call) -> int:
    # The seventh argument of every convolution's signature, transposed or not; linear has none.
    groups = linear.args[6] if len(linear.args) > 6 else linear.kwargs.get("groups", 1)
    assert isinstance(groups, int)
    return groups
