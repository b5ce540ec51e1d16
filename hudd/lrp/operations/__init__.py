"""How relevance crosses operations without weights.

Activations let it pass (:mod:`passing`); operations that move numbers send it back to where they
came from (:mod:`routing`); sums split it in proportion to the summands (:mod:`sums`); products give it to the signal,
not to the gate (:mod:`products`); AttnLRP treats transformers its own way (:mod:`attention`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from hudd.capture.graph import RelevanceGraph, carries, module_of, target_name
from hudd.errors import UnsupportedOperation
from hudd.lrp.operations import attention, passing, products, routing, sums
from hudd.lrp.operations.attention import weighs, with_attnlrp
from hudd.lrp.operations.base import (
    Operation,
    Sent,
    Values,
    activation_arguments,
    activations_read,
    call,
    origin,
)
from hudd.lrp.operations.obstacles import obstacle, remedy_for
from hudd.lrp.operations.passing import IDENTITY, RECTIFIERS

__all__ = [
    "IDENTITY",
    "OPERATIONS",
    "Operation",
    "Sent",
    "Values",
    "call",
    "nonnegative",
    "operation_of",
    "origin",
    "rectifies",
    "sources_of",
    "weighs",
    "with_attnlrp",
]

aten = torch.ops.aten

OPERATIONS: dict[Any, Operation] = {
    **passing.OPERATIONS,
    **routing.OPERATIONS,
    **sums.OPERATIONS,
    **products.OPERATIONS,
    **attention.OPERATIONS,
}


def sources_of(node: fx.Node) -> list[fx.Node]:
    """The activations that receive relevance from this node."""
    operation = OPERATIONS.get(origin(node).target)
    if operation is not None and operation.sources is not None:
        return operation.sources(node)
    return activations_read(node)


def rectifies(node: fx.Node) -> bool:
    """Whether the node's output is zero where what it reads is not positive."""
    target, low = origin(node).target, origin(node).args[1:2]
    clamps = target in (aten.clamp.default, aten.clamp_min.default, aten.hardtanh.default)
    return target in RECTIFIERS or (clamps and low == (0,))


def nonnegative(node: fx.Node) -> bool:
    """Whether the node's output is known to hold no negative number."""
    target = origin(node).target
    if rectifies(node) or target in passing.NONNEGATIVE:
        return True
    if target in sums.KEEP_SIGN:
        known = target is not aten.add.Tensor or (not node.kwargs and len(activation_arguments(node)) == 2)
    else:
        known = target in routing.KEEP_SIGN or OPERATIONS.get(target) is passing.IDENTITY
    return known and all(carries(read) and nonnegative(read) for read in origin(node).all_input_nodes)


def operation_of(node: fx.Node, captured: RelevanceGraph | None = None) -> Operation:
    """How relevance crosses this node; of `captured` the constants are looked at.

    Raises
    ------
    UnsupportedOperation
        If there is no conserving way; the message names the operation, its module and a remedy.
    """
    target = origin(node).target
    found = OPERATIONS.get(target)
    if found is None:
        raise UnsupportedOperation(
            target_name(origin(node)),
            module_of(node),
            remedy_for(origin(node), captured),
        )
    remedy = remedy_for(origin(node), captured)
    if not sources_of(node):
        raise UnsupportedOperation(
            target_name(node),
            module_of(node),
            f"A constant over an activation has no part that could take the relevance. {remedy}",
        )
    reason = obstacle(origin(node), captured)
    if reason is not None:
        raise UnsupportedOperation(target_name(origin(node)), module_of(node), f"{reason} {remedy}")
    return found
