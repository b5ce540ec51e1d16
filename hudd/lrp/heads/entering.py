"""A target on its way back through a head: how many times each pre-activation is explained."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from hudd.errors import UsageError
from hudd.lrp.arguments import arguments
from hudd.lrp.heads.trends import reduced_axes
from hudd.lrp.heads.walk import Head, HeadStep
from hudd.lrp.message import Message
from hudd.lrp.operations import Values
from hudd.lrp.operations.base import adjoint

aten = torch.ops.aten
_MASKS = {
    aten.masked_fill.Scalar, aten.masked_fill.Tensor, aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf,
}  # fmt: skip


def multiples_of(message: Message, output: Tensor) -> Tensor:
    """How many times each number of the output is explained: the relevance that enters there over the number.

    Raises
    ------
    UsageError
        If relevance enters at an output that is zero.
    """
    if message.factor is not None:
        return message.value
    zero = output == 0
    if bool((zero & (message.value != 0)).any()):
        raise UsageError(
            "relevance enters at an output that is zero, so that it is no multiple of it; let the target return "
            "multiples of the output, such as output * mask."
        )
    return torch.where(zero, 0, message.value / output.masked_fill(zero, 1))


def enter_before_head(head: Head, multiples: Tensor, values: Values) -> dict[fx.Node, Message]:
    """What enters at each pre-activation: its own value, as many times as it is explained.

    Parameters
    ----------
    head : Head
        The head.
    multiples : Tensor
        Of the head's output, in its shape.
    values : dict of Node to Tensor
        Those of ``head.reads``.
    """
    pending = {head.output: multiples}
    for step in head.steps:
        arrived = pending.pop(step.node, None)
        if arrived is None:
            continue
        for source, part in zip(step.sources, _crossed(step, arrived, values)):
            pending[source] = pending[source] + part if source in pending else part
    pending = {node: part.to(values[node].dtype) for node, part in pending.items()}
    return {node: Message(part, _unmasked(node, values[node], part)) for node, part in pending.items()}


def _crossed(step: HeadStep, arrived: Tensor, values: Values) -> list[Tensor]:
    if step.kind == "pass":
        return [arrived if step.sign > 0 else -arrived]
    if step.kind == "each":
        return [arrived.sum_to_size(values[source].shape) for source in step.sources]
    if step.kind == "mean":
        (source,) = step.sources
        axes, keeps = reduced_axes(step.node), arguments(step.node)["keepdim"]
        for axis in sorted(axes) if not keeps else []:
            arrived = arrived.unsqueeze(axis)
        spread = arrived.expand_as(values[source])
        return [spread / (spread.numel() / arrived.numel())]
    if step.kind == "adjoint":
        return adjoint(step.node, values, arrived, step.sources)
    total = values[step.node]
    shares = adjoint(step.node, values, torch.where(total > 0, arrived / total, 0), step.sources)
    return [share * values[source] for share, source in zip(shares, step.sources)]


def _unmasked(node: fx.Node, scores: Tensor, multiples: Tensor) -> Tensor:
    """The scores; a class that is masked out, at minus infinity, has none where it is not explained."""
    if node.target not in _MASKS:
        return scores
    return torch.where(multiples == 0, 0, scores)
