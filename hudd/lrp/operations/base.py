"""What an operation without weights is to relevance, and how to call one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from hudd.capture.graph import carries
from hudd.lrp.composites import Composite
from hudd.lrp.message import Message

Values = dict[fx.Node, Any]
Sent = list[tuple[fx.Node, Message]]


@dataclass(frozen=True)
class Pair:
    """The values of a batch, those of its baseline, and what sets them apart."""

    batch: Values
    baseline: Values
    difference: Values

    def middle(self, node: fx.Node) -> Tensor:
        """The mean of both values of a node."""
        middle: Tensor = (self.batch[node] + self.baseline[node]) / 2
        return middle

    def multiplier(self, node: fx.Node, message: Message, composite: Composite) -> Tensor:
        """The relevance of a node's output over its difference; where that is the message's factor, no quotient."""
        difference = self.difference[node]
        if message.factor is difference:
            return message.value
        return message.over(difference, epsilon=composite.epsilon, stabilizer=composite.stabilizer)


@dataclass(frozen=True)
class Operation:
    """One way of crossing.

    Attributes
    ----------
    cross : callable
        ``cross(node, message, values, composite) -> [(source, message), ...]``.
    own_factor : bool or None
        Whether what it sends has the source's value for a factor: always, never, or (None) if what it receives has
        its own output's.
    reads_values : bool
        Whether crossing needs the forward values of the node and of what it reads.
    redistributes : bool
        Whether the relevance of single numbers changes hands, so that a heatmap of the layer is of interest.
    overwritable : bool
        Whether a ReLU may write over the output: it is memory of its own, and relevance of a rectified output
        crosses as it should.
    keeps_rest : bool
        Whether constants of its own may keep relevance that no number read takes, such as a class token's.
    chooses : bool
        Whether the numbers decide where relevance goes: the greatest, or the least, gets all of it.
    sources : callable or None
        The activations that receive relevance; None: every activation that the node reads.
    between : callable or None
        ``between(node, message, pair, composite)``: how what sets a batch apart from a baseline crosses, exactly; None:
        as values do, with differences in their place.
    """

    cross: Callable[[fx.Node, Message, Values, Composite], Sent]
    own_factor: bool | None
    reads_values: bool = True
    redistributes: bool = False
    overwritable: bool = False
    keeps_rest: bool = False
    chooses: bool = False
    sources: Callable[[fx.Node], list[fx.Node]] | None = None
    between: Callable[[fx.Node, Message, Pair, Composite], Sent] | None = None


def origin(node: fx.Node) -> fx.Node:
    """The call behind an item of a several-output call; else the node itself."""
    if node.target is operator.getitem:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        return source
    return node


def is_activation(node: object) -> bool:
    """Whether the node stands for numbers that relevance can go to; a choice made from the input has none."""
    if not carries(node):
        return False
    value = node.meta.get("val")  # type: ignore[attr-defined]
    return not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex()


def activations_read(node: fx.Node) -> list[fx.Node]:
    """The activations that the node's call reads, each once."""
    return [source for source in origin(node).all_input_nodes if is_activation(source)]


def activation_arguments(node: fx.Node) -> list[fx.Node]:
    """The positional arguments that are activations, repetitions included."""
    return [argument for argument in origin(node).args if is_activation(argument)]  # type: ignore[misc]


def resolve(argument: Any, values: Values) -> Any:
    """An argument with every node replaced by its value."""
    return fx.node.map_arg(argument, lambda node: values[node])


def call(node: fx.Node, values: Values) -> Any:
    """The node's output."""
    assert callable(node.target)
    return node.target(*resolve(node.args, values), **resolve(node.kwargs, values))


def shift_of(node: fx.Node, message: Message, values: Values) -> Tensor | None:
    """The constant summand of an operation that is linear but for it: its output for zeros; None if nobody asks."""
    if not message.asks:
        return None
    shift: Tensor = call(
        node, {**values, **{read: torch.zeros_like(values[read]) for read in activations_read(node)}}
    )
    return shift


def adjoint(node: fx.Node, values: Values, s: Tensor, sources: list[fx.Node]) -> list[Tensor]:
    """The gradient of ``<s, output>`` with respect to some sources, by running this one operation under autograd."""
    with torch.enable_grad():
        leaves = {source: values[source].detach().requires_grad_() for source in sources}
        local = {**{read: values[read] for read in origin(node).all_input_nodes}, **leaves}
        output = _output(node, local)
    return list(torch.autograd.grad(output, list(leaves.values()), s))


def at_winners(node: fx.Node, values: Values, others: Values) -> Tensor:
    """Of other values of the sources, those that the node chooses by `values`: the adjoint of its adjoint."""
    sources = activations_read(node)
    with torch.enable_grad():
        leaves = {source: values[source].detach().requires_grad_() for source in sources}
        output = _output(node, {**values, **leaves})
        s = torch.zeros_like(output, requires_grad=True)
        sent = torch.autograd.grad(output, list(leaves.values()), s, create_graph=True)
        met = sum((part * others[source]).sum() for source, part in zip(sources, sent))
    (found,) = torch.autograd.grad(met, s)
    return found


def _output(node: fx.Node, values: Values) -> Any:
    """The node's output, of the call behind it where it is an item of several."""
    first = origin(node)
    output = call(first, values)
    return output if first is node else output[node.args[1]]


def factored_by_own_output(node: fx.Node, message: Message, values: Values) -> Message:
    """The message itself if its factor is the node's output, else the relevance with nothing factored out."""
    if message.factor is None or message.factor is values[node]:
        return message
    return message.plain()
