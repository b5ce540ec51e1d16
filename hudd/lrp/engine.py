"""Layer-wise relevance propagation of whole batches: one forward pass, one backward sweep, every layer asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor, fx, nn

from hudd.capture.export import capture
from hudd.errors import UsageError
from hudd.lrp import kernels
from hudd.lrp import message as messages
from hudd.lrp.composites import Composite, composite_of
from hudd.lrp.message import Message
from hudd.lrp.operations import Values, call
from hudd.lrp.plan import Plan, RuledContraction, make_plan, store_channels_last, within
from hudd.lrp.recommended import recommended_for
from hudd.lrp.rules import Crossing, Rule
from hudd.lrp.targets import Target, selection

_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_POOLS = ("none", "channel", "space")


@dataclass
class Relevance:
    """The relevance of a batch of N images.

    Attributes
    ----------
    output : Tensor
        (N, ...) the model's output.
    explained : Tensor
        (N,) float64, the sum of the relevance that entered at the output.
    input : Tensor or None
        (N, C, H, W) relevance of the input; None if it was not asked for. The heatmap of a layer that reads the input
        is this same tensor.
    layers : dict of str to Tensor
        Relevance at each layer's input (or output, see :class:`LRP`), (N, ...), by module path.
    conservation : dict of str to Tensor
        For each layer (N,) float64: the relevance that left the layer at its input minus what entered at its output, as
        a share of what is explained. Zero is exact conservation; a bias takes its share, and so does the stabilizer.
    bias_share : dict of str to Tensor
        For each layer (N,) float64: what its biases and other constant summands absorbed, in the same unit; so
        ``conservation + bias_share`` is what the rule itself lost or added. Empty unless it was asked for.
    """

    output: Tensor
    explained: Tensor
    input: Tensor | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)
    conservation: dict[str, Tensor] = field(default_factory=dict)
    bias_share: dict[str, Tensor] = field(default_factory=dict)


class LRP:
    """Layer-wise relevance propagation for a torch model.

    Parameters
    ----------
    model : torch.nn.Module
        Any model that torch.export can trace; used in evaluation mode and left unchanged. Its weights are read when the
        first batch comes (or at :meth:`prepare`); make a new LRP after changing them.
    rules : str, Rule, Composite or mapping, optional
        See :func:`hudd.lrp.composites.composite_of`; "recommended": see :func:`hudd.lrp.recommended.recommended`.
    layers : sequence of str or None, optional
        Module paths (``"features.3"``), globs allowed. None: every module that redistributes relevance, and the input.
        The backward sweep ends at the earliest layer asked for; ``"input"`` asks for the input.
    pool : {"none", "channel", "space"}, optional
        Keep relevance whole, sum it over space (one number a channel) or over channels (a map). Layers without
        spatial axes are kept whole.
    precision : {"float32", "float16", "bfloat16"}, optional
        Storage of whole heatmaps; arithmetic is float32 always.
    at : {"input", "output"}, optional
        Which side of a layer its heatmap shows.
    bias_share : bool, optional
        Also sum up what biases absorb, layer by layer; takes another sweep, image by image.

    Raises
    ------
    UsageError
        If an argument is not one of those.

    Examples
    --------
    >>> lrp = LRP(model, rules="epsilon-plus", layers=["features.*"])
    >>> relevance = lrp.attribute(images)
    >>> relevance.layers["features.3"].shape
    torch.Size([32, 64, 27, 27])

    Notes
    -----
    Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation", PLoS ONE 10(7).
    """

    def __init__(
        self,
        model: nn.Module,
        rules: str | Rule | Composite | Mapping[str, str | Rule] = "epsilon-plus",
        layers: Sequence[str] | None = None,
        pool: str = "none",
        precision: str = "float32",
        at: str = "input",
        bias_share: bool = False,
    ) -> None:
        for name, value, allowed in (
            ("pool", pool, _POOLS),
            ("precision", precision, tuple(_PRECISIONS)),
            ("at", at, ("input", "output")),
        ):
            if value not in allowed:
                raise UsageError(f"{name} must be one of {', '.join(allowed)}, but it is {value!r}.")
        if isinstance(layers, str):
            raise UsageError(f"layers must be a list of module paths, but it is a string; give [{layers!r}].")
        self.model = model
        self._recommended = rules == "recommended"  # known once the model is captured
        self.composite = composite_of("epsilon-plus" if self._recommended else rules)
        self._asked = None if layers is None else tuple(layers)
        self._pool, self._dtype, self._at = pool, _PRECISIONS[precision], at
        self._bias_share = bias_share
        self._plan: Plan | None = None
        self._shapes: list[torch.Size] = []

    def prepare(self, example: Tensor | Sequence[Tensor]) -> tuple[str, ...]:
        """Capture the model for inputs like `example` and return the names of the layers that will come.

        Parameters
        ----------
        example : Tensor or sequence of Tensor
            (N, ...) an input, or one a model input; only shapes matter.

        Raises
        ------
        UsageError
            If the model cannot be captured or a layer is not in it.
        UnsupportedOperation
            If relevance meets an operation without a conserving rule.
        """
        shapes = [tensor.shape[1:] for tensor in ((example,) if isinstance(example, Tensor) else example)]
        if (
            self._plan is None or shapes != self._shapes
        ):  # a capture may have the sizes of all axes but the first in it
            captured = capture(self.model, example)
            if self._recommended:
                self.composite = recommended_for(captured)
            store_channels_last(captured)
            self._plan = make_plan(captured, self.composite, self._asked)
            self._shapes = shapes
        return self._plan.layers

    @torch.no_grad()
    def attribute(self, inputs: Tensor | Sequence[Tensor], target: Target = None) -> Relevance:
        """Explain a batch.

        Parameters
        ----------
        inputs : Tensor or sequence of Tensor
            (N, ...) float32, as the model takes them.
        target : None, int, Tensor, list, tuple or callable, optional
            What to explain, see :func:`hudd.lrp.targets.selection`; a callable gets the model's output and returns the
            relevance that enters there, of the same shape. None: each image's predicted class.

        Returns
        -------
        Relevance
        """
        batch = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        _check(batch)
        self.prepare(batch)
        assert self._plan is not None
        run = _Run(self._plan, self.composite, self._pool, self._dtype, self._at)
        result = run.explain(batch, target)
        if self._bias_share:
            result.bias_share = self._bias_shares(batch, run.entering)
        return result

    def _bias_shares(self, batch: tuple[Tensor, ...], entering: Tensor) -> dict[str, Tensor]:
        """One image at a time, for inside a model the batch may be any axis, or lie within one."""
        assert self._plan is not None
        shares: dict[str, list[Tensor]] = {name: [] for name in self._plan.layers}
        for sample, seed in enumerate(entering.split(1)):
            run = _Run(self._plan, self.composite, self._pool, self._dtype, self._at, bias_share=True)
            single = run.explain(
                tuple(tensor[sample : sample + 1] for tensor in batch), functools.partial(_given, seed)
            )
            for name, share in single.bias_share.items():
                shares[name].append(share)
        return {name: torch.cat(parts) for name, parts in shares.items()}


def _given(seed: Tensor, output: Tensor) -> Tensor:
    return seed


def _check(batch: tuple[Tensor, ...]) -> None:
    for tensor in batch:
        if tensor.dtype != torch.float32 or tensor.ndim < 2:
            raise UsageError(
                f"inputs must be float32 tensors with a batch axis, but one is {tensor.dtype} of shape "
                f"{tuple(tensor.shape)}; use inputs.float(), and inputs.unsqueeze(0) for a single image."
            )
        if tensor.shape[0] == 0:
            raise UsageError("the batch is empty; give at least one image.")


class _Run:
    """One batch on its way through a plan."""

    def __init__(
        self,
        plan: Plan,
        composite: Composite,
        pool: str,
        dtype: torch.dtype,
        at: str,
        bias_share: bool = False,
    ) -> None:
        self._plan, self._composite = plan, composite
        self._pool, self._dtype, self._at = pool, dtype, at
        self._values: Values = {}
        self._arrived: dict[str, Tensor] = {}
        self._sent: dict[str, Tensor] = {}
        self._absorbed: dict[fx.Node, list[Tensor]] | None = {} if bias_share else None

    def explain(self, batch: tuple[Tensor, ...], target: Target) -> Relevance:
        self._forward(batch)
        output_node = self._plan.captured.outputs[0]
        output = self._values[output_node]
        if callable(target):
            seed = target(output)
            if not isinstance(seed, Tensor) or seed.shape != output.shape:
                returned = (
                    f"shape {tuple(seed.shape)}" if isinstance(seed, Tensor) else f"a {type(seed).__name__}"
                )
                raise UsageError(
                    f"the target callable returned {returned}, but must return a tensor of the output's shape, "
                    f"{tuple(output.shape)}."
                )
            entering = Message(seed.to(output.dtype).clone(), None)
        else:
            entering = Message(selection(output, target), output)
        self.entering = entering.value if entering.factor is None else entering.value * entering.factor
        result = Relevance(output=output, explained=entering.sample_totals())
        self._backward(output_node, entering, result)
        size = result.explained.abs()
        size = torch.where(size > 0, size, torch.ones_like(size))
        for name in self._plan.layers:
            result.conservation[name] = (self._sent[name] - self._arrived[name]) / size
            if self._absorbed is not None:
                inside = chain(*(parts for node, parts in self._absorbed.items() if within(node, name)))
                result.bias_share[name] = sum((part.sum() for part in inside), torch.zeros_like(size)) / size
        result.layers = {name: result.layers[name] for name in self._plan.layers}
        return result

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
        last_reader = {read: node for node in plan.calls for read in node.all_input_nodes}
        kept = {read for reads in plan.reads.values() for read in reads} | set(plan.captured.outputs)
        for node in plan.calls:
            if node in plan.in_place:
                source = node.all_input_nodes[0]
                values[node] = torch.relu_(values[source])
            else:
                values[node] = call(node, values)
            for read in node.all_input_nodes:
                if last_reader[read] is node and read not in kept:
                    del values[read]

    def _backward(self, output_node: fx.Node, entering: Message, result: Relevance) -> None:
        plan, values = self._plan, self._values
        pending: dict[fx.Node, Message] = {output_node: entering}
        self._leave((output_node, output_node), entering, result)
        last_read = {read: node for node in plan.backward for read in plan.reads[node]}
        for node in plan.backward:
            incoming = pending.pop(node, None)
            if incoming is None:
                continue
            step = plan.steps[node]
            if self._absorbed is not None:
                incoming.ledger = self._absorbed[node] = []
            if isinstance(step, RuledContraction):
                sent = [(step.source, self._cross(node, step, incoming))]
            else:
                sent = step.cross(node, incoming, values, self._composite)
            for source, message in sent:
                edge = (node, source)
                self._enter(edge, message, result)
                self._leave(edge, message, result)
                pending[source] = messages.add(pending[source], message) if source in pending else message
            for read in plan.reads[node]:
                if last_read[read] is node:
                    values.pop(read, None)
        if plan.reaches_input:
            result.input = pending[plan.captured.inputs[0]].relevance()

    def _cross(self, node: fx.Node, step: RuledContraction, message: Message) -> Message:
        crossing = Crossing(
            contraction=step.contraction,
            x=self._values[step.source],
            z=self._values[node],
            nonnegative=step.nonnegative_input,
            rectified=node in self._plan.rectified,
            message=message,
        )
        return step.rule.redistribute(crossing)

    def _enter(self, edge: tuple[fx.Node, fx.Node], message: Message, result: Relevance) -> None:
        """Relevance leaves the layers whose input this edge is: their heatmaps."""
        for name in self._plan.entries.get(edge, ()):
            if self._at == "input":
                self._collect(name, message, result)
            _accumulate(self._sent, name, message.sample_totals())

    def _leave(self, edge: tuple[fx.Node, fx.Node], message: Message, result: Relevance) -> None:
        """Relevance enters the layers whose output this edge reads."""
        for name in self._plan.exits.get(edge, ()):
            if self._at == "output":
                self._collect(name, message, result)
            _accumulate(self._arrived, name, message.sample_totals())

    def _collect(self, name: str, message: Message, result: Relevance) -> None:
        if self._pool == "none" or message.value.ndim < 3:
            heatmap = message.relevance(self._dtype)
        else:
            over = "space" if self._pool == "channel" else "channels"
            heatmap = kernels.pooled_product(message.value, message.factor, over=over)
            message.total = heatmap.double().flatten(1).sum(1)
        _accumulate(result.layers, name, heatmap)


def _accumulate(store: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    store[name] = store[name] + tensor if name in store else tensor
