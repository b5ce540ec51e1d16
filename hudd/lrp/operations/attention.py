"""Attention whose weights take part as a signal does.

As AttnLRP treats transformers (Achtibat et al. 2024, arXiv 2402.05602), where a composite asks for that: each matrix
product shares its relevance equally between its factors (prop. 3.3), and softmax sends on by its first-order Taylor
expansion, whose constant part absorbs a share (prop. 3.1). Layer norm and RMS norm let relevance pass (prop. 3.4).
And against a baseline, where every operation is exact in differences. Else attention weights are a gate and a norm is a
linear map (:mod:`hudd.lrp.operations.products`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from hudd.capture.graph import RelevanceGraph, carries, module_of
from hudd.capture.simplify import identity
from hudd.lrp.arguments import arguments
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message
from hudd.lrp.operations import products, routing
from hudd.lrp.operations.base import Operation, Pair, Sent, Values, resolve
from hudd.lrp.operations.passing import PASS

aten = torch.ops.aten


def taylor_softmax(
    logits: Tensor, axis: int, scale: float = 1.0, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """``softmax(scale * logits + mask)``, a signal to relevance and not a gate."""
    return torch.softmax(_masked(logits * scale, mask, causal), axis)


def passed_sigmoid(logits: Tensor) -> Tensor:
    """A sigmoid that relevance passes as it passes an activation; not a gate."""
    return torch.sigmoid(logits)


def passed_hardsigmoid(logits: Tensor) -> Tensor:
    """A hard sigmoid that relevance passes as it passes an activation; not a gate."""
    return torch.nn.functional.hardsigmoid(logits)


def repeated_heads(shared: Tensor, count: int) -> Tensor:
    """Keys or values of heads that `count` queries each share, (..., H, T, C), once for each query."""
    return shared.repeat_interleave(count, -3)


def passed_norm(inputs: Tensor, *options: Any, **named: Any) -> Tensor:
    """Layer norm, which relevance passes as it passes an activation."""
    normed: Tensor = aten.layer_norm.default(inputs, *options, **named)
    return normed


def passed_rms_norm(inputs: Tensor, *options: Any, **named: Any) -> Tensor:
    """RMS norm, which relevance passes as it passes an activation."""
    normed: Tensor = aten.rms_norm.default(inputs, *options, **named)
    return normed


def _masked(logits: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    if causal:
        allowed = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        logits = logits.masked_fill(~allowed, -math.inf)
    if mask is None:
        return logits
    return logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask


def _taylor(node: fx.Node, message: Message, values: Values, composite: Composite) -> Sent:
    """``R_i = x_i (R_i - w_i sum_j R_j)`` for weights w = softmax(x); masked logits have none and get none."""
    logits, axis, scale, mask, causal = _softmax_arguments(node)
    raw, weights = values[logits], values[node]
    relevance = message.plain().value
    total = relevance.sum(axis, keepdim=True)
    gradient = relevance - weights * total
    x = raw.masked_fill(raw.isneginf(), 0.0)
    if message.asks:
        shifted = _masked(raw * scale, resolve(mask, values), causal)
        shifted = shifted.masked_fill(shifted.isneginf(), 0.0).double()
        centre = (shifted * weights).sum(axis, keepdim=True)
        message.absorb(relevance, 1 - shifted + centre)
        message.absorb(gradient, shifted - scale * x)  # the mask's summand
    return [(logits, Message(gradient * scale, x))]


def _softmax_between(node: fx.Node, message: Message, pair: Pair, composite: Composite) -> Sent:
    """``w_i - w'_i = L_i (d_i - sum_j L_j d_j / sum_j L_j)`` for logits that differ by d.

    L is the logarithmic mean of both weights, ``(w - w') / (log w - log w')``; log w differs by d less the difference
    of the normalisers, which follows from the weights' sums being equal.
    """
    logits, axis, scale, mask, causal = _softmax_arguments(node)
    logs = [
        _masked(values[logits] * scale, resolve(mask, pair.batch), causal).log_softmax(axis)
        for values in (pair.batch, pair.baseline)
    ]
    apart = torch.where(logs[0] == logs[1], 0, logs[0] - logs[1]).abs()
    mean = torch.maximum(pair.batch[node], pair.baseline[node]) * torch.where(
        apart == 0, 1, -torch.expm1(-apart) / apart
    )
    s = pair.multiplier(node, message, composite) * mean
    sent = s - mean * (s.sum(axis, keepdim=True) / mean.sum(axis, keepdim=True))
    return [(logits, Message(sent * scale, pair.difference[logits]))]


def _softmax_arguments(node: fx.Node) -> tuple[fx.Node, int, float, fx.Node | None, bool]:
    given = dict(zip(("logits", "axis", "scale", "mask", "causal"), node.args))
    merged = {"scale": 1.0, "mask": None, "causal": False, **given}
    return merged["logits"], merged["axis"], merged["scale"], merged["mask"], merged["causal"]  # type: ignore[return-value]


TAYLOR = Operation(
    _taylor,
    own_factor=True,
    redistributes=True,
    overwritable=True,
    sources=lambda node: [node.args[0]],  # type: ignore[list-item]
    between=_softmax_between,
)
OPERATIONS: dict[Any, Operation] = {
    taylor_softmax: TAYLOR,
    repeated_heads: routing.ROUTE,
    passed_sigmoid: PASS,
    passed_hardsigmoid: PASS,
    passed_norm: PASS,
    passed_rms_norm: PASS,
}


_PASSED_GATES: dict[Any, Any] = {
    aten.sigmoid.default: passed_sigmoid,
    aten.hardsigmoid.default: passed_hardsigmoid,
}
_PASSED_NORMS: dict[Any, Any] = {aten.layer_norm.default: passed_norm, aten.rms_norm.default: passed_rms_norm}


def with_attnlrp(captured: RelevanceGraph) -> RelevanceGraph:
    """A copy of the graph in which attention and norms are spelled out as AttnLRP treats them."""
    return _treated(captured, lambda node: _PASSED_NORMS.get(node.target))


def with_signals(captured: RelevanceGraph) -> RelevanceGraph:
    """A copy of the graph for differences: attention is spelled out, and its weights and sigmoid gates are signals."""
    return _treated(captured, lambda node: _PASSED_GATES.get(node.target) if weighs(node) else None)


def _treated(captured: RelevanceGraph, passed: Callable[[fx.Node], Any]) -> RelevanceGraph:
    """A copy with attention spelled out, and with what `passed` returns, if anything, in place of an operation."""
    treated = _copied(captured)
    for node in list(treated.graph.nodes):
        if not carries(node):
            continue
        if node.target is aten.scaled_dot_product_attention.default:
            _spell_out(node, treated)
        elif node.target in (aten.softmax.int, aten._softmax.default) and weighs(node):
            node.target, node.args, node.kwargs = taylor_softmax, node.args[:2], {}
        else:
            node.target = passed(node) or node.target
    return treated


def _copied(captured: RelevanceGraph) -> RelevanceGraph:
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.output(graph.graph_copy(captured.graph, copies))
    return RelevanceGraph(
        graph,
        {
            copies[node].name: captured.constants[node.name]
            for node in copies
            if node.name in captured.constants
        },
        [copies[node] for node in captured.inputs],
        [copies[node] for node in captured.outputs],
        captured.enclosing,
        captured.standard,
    )


def _spell_out(node: fx.Node, treated: RelevanceGraph) -> None:
    """Write one fused attention as products and a softmax."""
    named = arguments(node)
    query, key, value = named["query"], named["key"], named["value"]
    scale = named["scale"] or 1 / math.sqrt(query.meta["val"].shape[-1])

    def call(function: Any, *given: Any) -> fx.Node:
        with treated.graph.inserting_before(node):
            made = treated.graph.call_function(function, given)
        made.meta = {"module": module_of(node), "depends_on_input": True}
        return made

    if named["enable_gqa"]:
        heads = query.meta["val"].shape[-3]
        key, value = (call(repeated_heads, one, heads // one.meta["val"].shape[-3]) for one in (key, value))
    logits = call(aten.matmul.default, query, call(aten.transpose.int, key, -2, -1))
    weights = call(taylor_softmax, logits, -1, scale, named["attn_mask"], named["is_causal"])
    mixed = call(aten.matmul.default, weights, value)
    mixed.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(mixed)
    treated.outputs[:] = [mixed if output is node else output for output in treated.outputs]
    treated.graph.erase_node(node)


def weighs(node: fx.Node) -> bool:
    """Whether the node's output weighs something, as it is or rearranged; else it is the model's end."""
    return any(
        user.target in products.MATRIX_PRODUCTS
        or user.target is aten.mul.Tensor
        or ((user.target is identity or user.target in routing.OPERATIONS) and weighs(user))
        for user in node.users
    )
