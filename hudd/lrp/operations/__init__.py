"""How relevance crosses operations without weights.

Activations let it pass (:mod:`passing`); operations that move numbers send it back to where they
came from (:mod:`routing`); sums split it in proportion to the summands (:mod:`sums`); products give it to the signal,
not to the gate (:mod:`products`); AttnLRP treats transformers its own way (:mod:`attention`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import fx

from hudd.capture.graph import RelevanceGraph, module_of, target_name
from hudd.errors import UnsupportedOperation
from hudd.lrp.operations import attention, passing, products, routing, sums
from hudd.lrp.operations.attention import weighs, with_attnlrp, with_signals
from hudd.lrp.operations.base import (
    Operation,
    Pair,
    Sent,
    Values,
    call,
    origin,
)
from hudd.lrp.operations.obstacles import obstacle, remedy_for
from hudd.lrp.operations.passing import IDENTITY

__all__ = [
    "IDENTITY",
    "OPERATIONS",
    "Operation",
    "Pair",
    "Sent",
    "Values",
    "call",
    "operation_of",
    "weighs",
    "with_attnlrp",
    "with_signals",
]

aten = torch.ops.aten

OPERATIONS: dict[Any, Operation] = {
    **passing.OPERATIONS,
    **routing.OPERATIONS,
    **sums.OPERATIONS,
    **products.OPERATIONS,
    **attention.OPERATIONS,
}


def operation_of(
    node: fx.Node, sources: Collection[fx.Node], captured: RelevanceGraph | None = None
) -> Operation:
    """How relevance crosses this node to its sources; of `captured` the constants are looked at.

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
    if not sources:
        raise UnsupportedOperation(
            target_name(node),
            module_of(node),
            f"A constant over an activation has no part that could take the relevance. {remedy}",
        )
    reason = obstacle(origin(node), captured)
    if reason is not None:
        raise UnsupportedOperation(target_name(origin(node)), module_of(node), f"{reason} {remedy}")
    return found
