"""One batch on its way through a plan: a forward pass, then a backward sweep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Set
from itertools import chain

import torch
from torch import Tensor, fx

from hudd.capture.samples import Place
from hudd.errors import UsageError
from hudd.lrp import kernels
from hudd.lrp import message as messages
from hudd.lrp.bias import Bias, by_image, cross, share_constants
from hudd.lrp.composites import Composite
from hudd.lrp.heads import enter_before_head, multiples_of
from hudd.lrp.message import Message
from hudd.lrp.operations import IDENTITY, Operation, Sent, Values, call
from hudd.lrp.plan import MIXED, Plan, RuledContraction
from hudd.lrp.relevance import Relevance
from hudd.lrp.rules import Crossing
from hudd.lrp.segments import Segment
from hudd.lrp.targets import Target, chosen, indices

Enter = Callable[[tuple[Tensor, ...]], list[Message | None]]
Doubts = dict[fx.Node, Tensor]  # flags: the way that a rule took there without looking was wrong


def entering(target: Target, outputs: tuple[Tensor, ...]) -> list[Message | None]:
    """What enters at each output; None: nothing.

    Raises
    ------
    UsageError
        If the target does not fit the outputs.
    """
    if not callable(target):
        return selected(None if target is None else indices(target, outputs[0].shape), outputs)
    several = len(outputs) > 1
    multiples = getattr(target, "multiples", None)
    if multiples is not None and not several:  # also of outputs that are zero
        return [Message(multiples(outputs[0]), outputs[0])]
    returned = target(outputs) if several else [target(outputs[0])]
    wanted = ", ".join(str(tuple(output.shape)) for output in outputs)
    if not isinstance(returned, (list, tuple)) or len(returned) != len(outputs):
        raise UsageError(
            f"the target callable returned {_described(returned)}, but must return a list of {len(outputs)}, for each "
            f"output a tensor of its shape ({wanted}), or None where nothing is explained."
        )
    for seed, output in zip(returned, outputs):
        fits = isinstance(seed, Tensor) and seed.shape == output.shape
        if not fits and not (several and seed is None):
            raise UsageError(
                f"the target callable returned {_described(seed)}, but must return a tensor of the output's shape, "
                f"{tuple(output.shape)}."
            )
    if all(seed is None for seed in returned):
        raise UsageError(
            "the target callable returned None for every output; give the relevance of one at least."
        )
    return [
        None if seed is None else Message(seed.to(output.dtype).clone(), None)
        for seed, output in zip(returned, outputs)
    ]


def _described(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def selected(rows: Tensor | None, outputs: tuple[Tensor, ...]) -> list[Message | None]:
    """What enters at each output if the first is explained at these indices; None: at the predicted class."""
    return [Message(chosen(outputs[0], rows), outputs[0]), *[None] * (len(outputs) - 1)]


def wrongly_guessed(doubts: Doubts) -> set[fx.Node]:
    """Where a rule's way was wrong; waits for the batch, if there is a doubt at all."""
    if not doubts:
        return set()
    return {node for node, wrong in zip(doubts, torch.stack(list(doubts.values())).tolist()) if wrong}


def _halts(tensor: Tensor) -> bool:
    """Whether looking at a number of the tensor halts the batch."""
    return tensor.is_cuda


class Run:
    """One batch on its way through a plan; `doubts` says afterwards what it took for granted."""

    def __init__(
        self,
        plan: Plan,
        composite: Composite,
        pool: str,
        dtype: torch.dtype,
        at: str,
        bias: Bias = "absorb",
        bias_share: bool = False,
    ) -> None:
        self._plan, self._composite = plan, composite
        self._pool, self._dtype, self._at, self._bias = pool, dtype, at, bias
        self.doubts: Doubts = {}
        self._values: Values = {}  # what relevance is in proportion to
        self._computed = self._values  # what the DNN makes of the batch
        # By segments that are computed again; the last one's values are there when the sweep begins.
        again = [segment for segment in plan.segments[:-1] if segment.backward]
        self._borrowed = frozenset().union(*(segment.borrowed for segment in again))
        self._arrived: dict[str, Tensor] = {}
        self._sent: dict[str, Tensor] = {}
        self._absorbed: dict[fx.Node, list[Tensor]] | None = {} if bias_share else None

    def explain(self, batch: tuple[Tensor, ...], enter: Enter) -> Relevance:
        """Both passes; `enter` says from the outputs what relevance enters at each."""
        self._forward(batch)
        nodes = self._plan.captured.outputs
        places = self._plan.places
        outputs = tuple(places.get(node, Place()).first(self._computed[node]) for node in nodes)
        explained = batch[0].new_zeros(len(batch[0]), dtype=torch.float64)
        result = Relevance(outputs, explained, head=self._plan.head)
        pending: dict[fx.Node, Message] = {}
        for node, message in zip(nodes, enter(outputs)):
            for entry, entered in self._entered(node, message):
                result.explained += by_image(entered, self._plan.places[entry]).sample_totals()
                self._leave((entry, entry), entered, result)
                pending[entry] = messages.add(pending[entry], entered) if entry in pending else entered
        self._left = result.explained
        self._backward(pending, batch, result)
        signed = torch.where(result.explained == 0, 1, result.explained)
        for gone in result.cumulative.values():
            gone /= signed
        size = result.explained.abs()
        size = torch.where(size > 0, size, torch.ones_like(size))
        nothing = torch.zeros_like(size)
        for name in self._plan.layers:
            sent, arrived = self._sent.get(name, nothing), self._arrived.get(name, nothing)
            result.conservation[name] = (sent - arrived) / size
            if self._absorbed is not None:
                around = self._plan.inside.of
                inside = chain(*(parts for node, parts in self._absorbed.items() if name in around(node)))
                result.bias_share[name] = sum((part.sum() for part in inside), nothing) / size
        result.layers = {name: result.layers[name] for name in self._plan.layers if name in result.layers}
        return result

    def _entered(self, output: fx.Node, message: Message | None) -> list[tuple[fx.Node, Message]]:
        """Where relevance of an output enters: there, or before its head."""
        if message is None:
            return []
        head = self._plan.heads.get(output)
        if head is None:
            return [(output, self._as_made(output, message))]
        place = self._plan.places[output]
        multiples = multiples_of(message, place.first(self._values[output]))
        return list(enter_before_head(head, place.back(multiples), self._values).items())

    def _as_made(self, node: fx.Node, message: Message) -> Message:
        """What enters at an output, the images where the model has them."""
        place = self._plan.places.get(node)
        if place is None:
            raise UsageError(MIXED)
        if place == Place():
            return message
        factor = None if message.factor is None else self._values[node]  # of which it is a view
        return Message(place.back(message.value), factor)

    def _forward(self, batch: tuple[Tensor, ...]) -> None:
        plan, values = self._plan, self._values
        if len(batch) != len(plan.captured.inputs):
            raise UsageError(
                f"the model takes {len(plan.captured.inputs)} inputs, but {len(batch)} were given."
            )
        for node in plan.captured.graph.nodes:
            if node.op == "placeholder" and node.name in plan.captured.constants:
                values[node] = plan.captured.constants[node.name]
        values.update(zip(plan.captured.inputs, map(kernels.channels_last_on_cpu, batch)))
        self._compute(plan.calls, self._kept())

    def _kept(self) -> Set[fx.Node]:
        """The values that stay after the forward pass."""
        plan = self._plan
        kept = set(plan.captured.outputs).union(*(head.reads for head in plan.heads.values()))
        return self._borrowed | plan.segments[-1].reads | kept

    def _compute(self, calls: list[fx.Node], kept: Set[fx.Node]) -> None:
        """Run the calls whose value is not there; of what they read, only `kept` stays."""
        values, in_place = self._values, self._plan.in_place
        last_reader = {read: node for node in calls for read in node.all_input_nodes}
        for node in calls:
            if node in in_place and node not in values:
                source = node.all_input_nodes[0]
                values[node] = torch.relu_(values[source])
            elif node not in values:
                values[node] = call(node, values)
            for read in node.all_input_nodes:
                if last_reader[read] is node and read not in kept:
                    values.pop(read, None)

    def _compute_again(self, segment: Segment) -> None:
        values, plan = self._values, self._plan
        for node in reversed(segment.calls):
            if node in values and (node in plan.in_place or plan.steps.get(node) is IDENTITY):
                values.setdefault(node.all_input_nodes[0], values[node])  # the same memory
        self._compute(segment.calls, self._borrowed | segment.reads)

    def _backward(
        self, pending: dict[fx.Node, Message], batch: tuple[Tensor, ...], result: Relevance
    ) -> None:
        plan = self._plan
        for segment in reversed(plan.segments):
            if segment.backward and segment is not plan.segments[-1]:
                self._compute_again(segment)
            self._cross_segment(segment, pending, result)
            for node in segment.made:
                self._values.pop(node, None)
        if plan.reaches_input:
            result.inputs = tuple(
                pending[node].relevance() if node in pending else torch.zeros_like(tensor)
                for node, tensor in zip(plan.captured.inputs, batch)
            )
            reached = [self._sum(node, pending[node]) for node in plan.captured.inputs if node in pending]
            result.cumulative["input"] = sum(reached) - result.explained

    def _cross_segment(self, segment: Segment, pending: dict[fx.Node, Message], result: Relevance) -> None:
        plan, values = self._plan, self._values
        last_read = {read: node for node in segment.backward for read in plan.reads[node]}
        for node in segment.backward:
            incoming = pending.pop(node, None)
            if incoming is None:
                continue
            step = plan.steps[node]
            counted = plan.absorbing is not None and node in plan.absorbing
            arrived = [self._sum(node, incoming)] if counted else []
            if self._absorbed is not None:
                incoming.ledger = self._absorbed[node] = []
            if isinstance(step, RuledContraction):
                sent = [(step.source, self._cross(node, step, incoming))]
            else:
                sent = self._cross_operation(node, step, incoming)
            for source, message in sent:
                edge = (node, source)
                self._enter(edge, message, result)
                self._leave(edge, message, result)
                pending[source] = messages.add(pending[source], message) if source in pending else message
            if counted:  # what no layer is asked for at loses nothing
                self._left = self._left + sum(self._sum(*part) for part in sent) - arrived[0]
            for name in plan.completed.get(node, ()):
                left = (
                    self._left
                    if plan.absorbing is not None
                    else sum(self._sum(*part) for part in pending.items())
                )
                result.cumulative[name] = left - result.explained
            for read in plan.reads[node]:
                if last_read[read] is node and read in segment.made:
                    values.pop(read, None)

    def _sum(self, node: fx.Node, message: Message) -> Tensor:
        """The relevance of a value summed over each image, (N,); NaN where the images are mixed."""
        place = self._plan.places.get(node)
        if place is None:
            return torch.full_like(self._left, torch.nan)
        return by_image(message, place).sample_totals()

    def _cross_operation(self, node: fx.Node, step: Operation, message: Message) -> Sent:
        """Cross an operation without weights; its constants absorb a part only where biases do."""
        if self._bias == "absorb":
            return step.cross(node, message, self._values, self._composite)
        place = self._plan.places.get(node)
        keeps = (step.keeps_rest or step.redistributes) and place is not None
        arrived = by_image(message, place).sample_totals() if keeps and place is not None else None
        message.kept = []
        sent = step.cross(node, message, self._values, self._composite)
        return share_constants(node, arrived, message, sent, self._values, self._plan.places)

    def _cross(self, node: fx.Node, step: RuledContraction, message: Message) -> Message:
        crossing = Crossing(
            contraction=step.contraction,
            x=self._values[step.source],
            z=self._values[node],
            nonnegative=step.nonnegative_input,
            rectified=node in self._plan.rectified,
            message=message,
            both_signs=node in self._plan.both_signs,
            doubt=functools.partial(self.doubts.__setitem__, node) if _halts(message.value) else None,
        )
        return cross(step.rule, crossing, self._bias, self._plan.places.get(step.source))

    def _enter(self, edge: tuple[fx.Node, fx.Node], message: Message, result: Relevance) -> None:
        """Relevance leaves the layers whose input this edge is: their heatmaps."""
        names = self._plan.entries.get(edge, ())
        message = by_image(message, self._plan.places[edge[1]]) if names else message
        for name in names:
            if self._at == "input":
                self._collect(name, message, result)
            _accumulate(self._sent, name, message.sample_totals())

    def _leave(self, edge: tuple[fx.Node, fx.Node], message: Message, result: Relevance) -> None:
        """Relevance enters the layers whose output this edge reads."""
        names = self._plan.exits.get(edge, ())
        message = by_image(message, self._plan.places[edge[1]]) if names else message
        for name in names:
            if self._at == "output":
                self._collect(name, message, result)
            _accumulate(self._arrived, name, message.sample_totals())

    def _collect(self, name: str, message: Message, result: Relevance) -> None:
        if self._pool == "none" or message.value.ndim < 3:
            heatmap = message.relevance(self._dtype)
        else:
            over = "space" if self._pool == "channel" else "channels"
            axis = self._plan.channels[self._at][name] % message.value.ndim
            heatmap = kernels.pooled_product(message.value, message.factor, over=over, channel_axis=axis)
            message.total = heatmap.double().flatten(1).sum(1)
        _accumulate(result.layers, name, heatmap)


def _accumulate(store: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    store[name] = store[name] + tensor if name in store else tensor
