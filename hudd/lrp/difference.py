"""Relevance of what sets a batch apart from a baseline: every value is replaced by its difference from the baseline's.

The difference of the output is redistributed by the rules as the output is without a baseline. Biases cancel, so that
they absorb nothing. By the epsilon rule this is DeepLIFT's rescale rule (Shrikumar et al. 2017, arXiv 1704.02685;
Ancona et al. 2018, arXiv 1711.06104, sec. 3), carried on to attention, gates and norms: a product of two signals,
softmax and the deviation of a norm have differences that are sums of shares of what they read, without remainder
(``between`` of the operations). Other gates count as constants, as they do without a baseline: those of the batch.
"""

from __future__ import annotations

import operator
from collections.abc import Set
from typing import Any

import torch
from torch import Tensor, fx

from hudd.capture.graph import module_of, target_name
from hudd.errors import UnsupportedOperation, UsageError
from hudd.lrp import kernels
from hudd.lrp.bias import unbiased
from hudd.lrp.composites import Composite
from hudd.lrp.heads import enter_before_head, multiples_of
from hudd.lrp.message import Message
from hudd.lrp.operations import Operation, Pair, Sent, Values, call, products
from hudd.lrp.operations.base import activations_read, at_winners, origin
from hudd.lrp.plan import MIXED, Plan, RuledContraction
from hudd.lrp.rules import Crossing, ZBox
from hudd.lrp.run import Run

aten = torch.ops.aten

_INSIDE = 1e-4  # of the line from the baseline to the batch: far enough for rounding not to choose


def check(plan: Plan) -> None:
    """Refuse what has no meaning in differences.

    Raises
    ------
    UsageError
        For the z-box rule.
    UnsupportedOperation
        For what chooses several numbers, and for cosine similarity.
    """
    for node in plan.backward:
        step = plan.steps[node]
        if isinstance(step, RuledContraction):
            if isinstance(step.rule, ZBox):
                raise UsageError(
                    "the bounds of the z-box rule are those of values, not of what sets them apart from a baseline; "
                    "choose another rule, or leave baseline out."
                )
        elif reason := _obstacle(node, step):
            raise UnsupportedOperation(
                target_name(origin(node)), module_of(node), f"{reason} Leave baseline out."
            )


def _obstacle(node: fx.Node, step: Operation) -> str:
    """Why relevance cannot cross an operation in differences; empty where it can."""
    if step is products.COSINE:
        return "What sets a cosine apart from a baseline's is not made of shares of its vectors here."
    if origin(node).target is aten.topk.default:
        return "The numbers that come next to the greatest may be of places that hardly differ from the baseline."
    return ""


class DifferenceRun(Run):
    """One batch and its baseline on their way through a plan that writes nothing in place.

    Parameters
    ----------
    plan, composite, pool, dtype, at
        As for :class:`hudd.lrp.run.Run`.
    baseline : tuple of Tensor
        The baseline of each input, of its shape.
    """

    def __init__(
        self,
        plan: Plan,
        composite: Composite,
        pool: str,
        dtype: torch.dtype,
        at: str,
        baseline: tuple[Tensor, ...],
    ) -> None:
        super().__init__(plan, composite, pool, dtype, at)
        self._baseline_inputs = baseline
        self._baseline: Values = {}  # its values

    def _forward(self, batch: tuple[Tensor, ...]) -> None:
        super()._forward(batch)
        base = dict(zip(self._plan.captured.inputs, map(kernels.channels_last_on_cpu, self._baseline_inputs)))
        for node in self._plan.calls:
            base[node] = self._of_baseline(node, base)
        self._baseline = base
        self._values = {
            node: _difference(value, base[node]) if node in base else value
            for node, value in self._computed.items()
        }

    @property
    def _pair(self) -> Pair:
        return Pair(self._computed, self._baseline, self._values)

    def _kept(self) -> Set[fx.Node]:
        return set(self._plan.captured.graph.nodes)

    def _of_baseline(self, node: fx.Node, base: Values) -> Any:
        """A value of the baseline; what gets no relevance from the node is the batch's."""
        values, step = self._computed, self._plan.steps.get(node)
        if node.target is operator.getitem:
            sources = node.all_input_nodes
        elif isinstance(step, Operation) and step.sources is not None:
            sources = step.sources(node)
        else:
            sources = activations_read(node)
        return call(node, {**values, **{source: base[source] for source in sources}})

    def _entered(self, output: fx.Node, message: Message | None) -> list[tuple[fx.Node, Message]]:
        if message is None:
            return []
        place, head = self._plan.places.get(output), self._plan.heads.get(output)
        if place is None:
            raise UsageError(MIXED)
        multiples = place.back(multiples_of(message, place.first(self._computed[output])))
        entries = {output: multiples}
        if head is not None:
            before = enter_before_head(head, multiples, self._computed)
            entries = {node: part.value for node, part in before.items()}
        return [(node, Message(part, self._values[node])) for node, part in entries.items()]

    def _cross(self, node: fx.Node, step: RuledContraction, message: Message) -> Message:
        x, z = self._values[step.source], self._values[node]
        crossing = Crossing(
            unbiased(step.contraction),
            x,
            z,
            nonnegative=False,
            rectified=False,
            message=message,
            both_signs=True,
        )
        return step.rule.redistribute(crossing)

    def _cross_operation(self, node: fx.Node, step: Operation, message: Message) -> Sent:
        if step.between is not None:
            return step.between(node, message, self._pair, self._composite)
        if not step.reads_values:
            return step.cross(node, message, self._values, self._composite)
        if step.chooses:
            return self._cross_choice(node, step, message)
        values = {**self._computed, node: self._values[node]}
        sent = step.cross(node, message, values, self._composite)
        return [(source, self._of_difference(source, part)) for source, part in sent]

    def _of_difference(self, source: fx.Node, message: Message) -> Message:
        """The message with the difference in place of the value that an operation multiplies by."""
        if message.factor is not self._computed[source]:
            return message
        return Message(message.value, self._values[source], exclusive=message.exclusive)

    def _cross_choice(self, node: fx.Node, step: Operation, message: Message) -> Sent:
        """To the winners at either end of the line from baseline b to batch x.

        Number j wins until t, where i overtakes it: ``x_i - b_j = t (x_j - b_j) + (1 - t) (x_i - b_i)``. The winners
        are those just inside the line: of the equal numbers of a plain baseline the one that grows most.
        """
        batch, baseline = self._computed, {**self._computed, **self._baseline}
        first, last = self._on_line(node, _INSIDE), self._on_line(node, 1 - _INSIDE)
        x_j, x_i = (at_winners(node, chosen, batch) for chosen in (first, last))
        b_j, b_i = (at_winners(node, chosen, baseline) for chosen in (first, last))
        behind, ahead = (b_j - b_i).abs(), (x_i - x_j).abs()
        t = torch.where(behind == 0, 0, behind / (behind + ahead))
        s = self._pair.multiplier(node, message, self._composite)
        return [
            part
            for share, chosen in ((t * (x_j - b_j), first), ((1 - t) * (x_i - b_i), last))
            for part in step.cross(node, Message(s * share, None), chosen, self._composite)
        ]

    def _on_line(self, node: fx.Node, t: float) -> Values:
        """What a node reads, and makes, at a place of the line from the baseline, 0, to the batch, 1."""
        read = {
            source: torch.lerp(self._baseline[source], self._computed[source], t)
            for source in activations_read(node)
        }
        values = {**self._computed, **read}
        return {**values, node: call(node, values)}


def _difference(value: Any, other: Any) -> Any:
    """Of floating-point numbers; equal infinities do not differ. Anything else is the batch's."""
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return value
    return torch.where(value == other, 0, value - other)
