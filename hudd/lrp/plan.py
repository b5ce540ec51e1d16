"""What can be decided before any image comes: who is on the way of relevance, which rule, which layer sees what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import fx

from hudd.capture.graph import RelevanceGraph, carries
from hudd.capture.samples import Place, places
from hudd.errors import UsageError
from hudd.lrp.channels import Channels
from hudd.lrp.classification import ClassifiedGraph, Role
from hudd.lrp.composites import Composite
from hudd.lrp.contraction import Contraction, contraction_of
from hudd.lrp.heads import Head, find_head
from hudd.lrp.layers import INPUT, Edge, Layers, boundaries, by_edge, layer_names, obstacle
from hudd.lrp.operations import IDENTITY, Operation, operation_of
from hudd.lrp.operations.base import origin
from hudd.lrp.rules import Rule
from hudd.lrp.segments import Segment, segments_of

aten = torch.ops.aten

MIXED = (
    "the model's output has no place for each image of a batch, so that none can be explained; return one output "
    "an image, all along one axis."
)
Roles = Mapping[fx.Node, Role]


@dataclass(frozen=True)
class RuledContraction:
    """A contraction with the rule that relevance crosses it by."""

    contraction: Contraction
    rule: Rule
    source: fx.Node
    nonnegative_input: bool


@dataclass
class Plan:
    """The way of relevance through one model for one composite and one choice of layers.

    Attributes
    ----------
    inside : Layers
        The layers that each node is in.
    calls : list of Node
        Everything that a forward pass computes, in order.
    backward : list of Node
        What relevance crosses, from the output to the earliest layer asked for.
    steps : dict
        For each of `backward`: its operation or ruled contraction.
    layers : tuple of str
        Names of the layers to be returned, in forward order.
    entries, exits : dict
        For each edge that relevance leaves (enters) a layer by: the layers' names.
    reaches_input : bool
        Whether the input's relevance is asked for.
    places : dict of Node to Place
        Where the images of a batch are in each value, as far as it is known.
    channels : dict
        For either side of a layer, "input" and "output": by its name the axis of the channels in its heatmap, from the
        end.
    in_place : set of Node
        Rectifiers that may write over what they read.
    rectified : set of Node
        Nodes that only a rectifier reads, so that their relevance is zero where their output is not positive.
    reads : dict of Node to list of Node
        For each of `backward`: the forward values that crossing it needs.
    segments : list of Segment
        The calls, cut where activations are computed again; else one segment.
    heads : dict of Node to Head
        By output, where it has one: relevance enters before it.
    absorbing : set of Node or None
        What may absorb relevance, if every layer was asked for: sums of what enters and leaves it are made anyway.
    completed : dict of Node to list of str
        For some of `backward`: the layers whose whole relevance has left them once it is crossed.
    both_signs : set of Node
        Contractions in which relevance met outputs without positive contributions, on a GPU, where that is not looked
        up within a batch: from then on negative ones are taken into account.
    """

    captured: RelevanceGraph
    inside: Layers
    calls: list[fx.Node]
    backward: list[fx.Node]
    steps: dict[fx.Node, Operation | RuledContraction]
    layers: tuple[str, ...]
    entries: dict[Edge, list[str]]
    exits: dict[Edge, list[str]]
    reaches_input: bool
    places: dict[fx.Node, Place]
    channels: dict[str, dict[str, int]]
    in_place: set[fx.Node] = field(default_factory=set)
    rectified: set[fx.Node] = field(default_factory=set)
    reads: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    heads: dict[fx.Node, Head] = field(default_factory=dict)
    absorbing: set[fx.Node] | None = None
    completed: dict[fx.Node, list[str]] = field(default_factory=dict)
    both_signs: set[fx.Node] = field(default_factory=set)

    @property
    def head(self) -> str:
        """What is explained in place of the outputs, in words; empty where they are."""
        return "; ".join(dict.fromkeys(head.text for head in self.heads.values()))


def make_plan(
    graph: ClassifiedGraph,
    composite: Composite,
    layers: Sequence[str] | None,
    explained: int = 1,
    recompute: bool = False,
    at: str = "input",
    in_place: bool = True,
) -> Plan:
    """Plan the passes.

    Parameters
    ----------
    graph : ClassifiedGraph
        The model.
    composite : Composite
        The rules.
    layers : sequence of str or None
        Module paths, globs allowed, and "input"; None: every module that redistributes relevance, and the input.
    explained : int
        At how many of the model's outputs, from the first, relevance may enter.
    recompute : bool
        Compute activations again in place of keeping them, segment by segment.
    at : {"input", "output"}
        Which side of a layer its heatmap shows.
    in_place : bool
        Let rectifiers write over what they read, where relevance vanishes with their output. Inputs of zero must not
        get any, as they do where biases are distributed.

    Raises
    ------
    UnsupportedOperation
        If relevance meets an operation without a rule.
    UsageError
        If a layer is not in the model, does not have exactly one input (and one output, if that is shown), or mixes the
        images of a batch, as the output must not either; if no layer matches an override of the composite.
    """
    captured, roles = graph.captured, graph.roles
    calls = [node for node in captured.graph.nodes if node.op == "call_function"]
    inside = Layers(graph)
    _check_overrides(composite, inside, [node for node in calls if roles[node].is_contraction])
    where = places(captured)
    outputs = [node for node in captured.outputs[:explained] if node in where]
    if not outputs:
        raise UsageError(MIXED)
    found = {node: find_head(graph, node, where) for node in outputs}
    heads = {node: head for node, head in found.items() if head is not None}
    outputs = [
        entry for node in outputs for entry in (heads[node].preactivations if node in heads else [node])
    ]
    on_the_way = _ancestors(outputs, roles)
    steps = {node: _step(node, graph, inside, composite) for node in calls if node in on_the_way}
    entering, leaving = boundaries(graph, inside, steps, outputs)
    every = dict.fromkeys(name for node in steps for name in inside.of(node))
    obstacles = {name: obstacle(entering[name], leaving[name], where, at) for name in every}
    redistributing = [
        node for node, step in steps.items() if isinstance(step, RuledContraction) or step.redistributes
    ]
    names = layer_names(obstacles, inside.by_default(steps, redistributing), layers)
    shown = [name for name in names if name != INPUT]
    entries, exits = by_edge(entering, shown), by_edge(leaving, shown)
    reaches_input = layers is None or INPUT in names
    wanted = {source for _, source in entries}
    if reaches_input:
        wanted.update(captured.inputs)
    reach = _readers_above(wanted, steps, roles)
    plan = Plan(
        captured=captured,
        inside=inside,
        calls=calls,
        backward=[node for node in reversed(calls) if node in reach],
        steps=steps,
        layers=tuple(shown),
        entries=entries,
        exits=exits,
        reaches_input=reaches_input,
        places=where,
        channels=_channels(graph, steps, where, entries, exits),
        heads=heads,
        absorbing={node for node, step in steps.items() if _absorbs(node, step)} if layers is None else None,
    )
    if in_place:
        _choose_in_place(plan, outputs, roles)
    plan.completed = _completed(plan)
    plan.reads = {node: _values_read(node, steps[node], roles[node].origin) for node in plan.backward}
    plan.segments = segments_of(calls, plan.backward, plan.reads, several=recompute)
    return plan


def _check_overrides(composite: Composite, inside: Layers, contractions: list[fx.Node]) -> None:
    """Refuse a rule for layers that there are not: it would silently change nothing."""
    names = list(dict.fromkeys(name for node in contractions for name in inside.names_of(node)))
    for pattern, _ in composite.overrides:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(
                f"rules name '{pattern}', but no layer with weights matches; these are: {', '.join(names)}."
            )


def store_channels_last(graph: ClassifiedGraph) -> None:
    """Store the weights of 2-d convolutions channels-last where they are on the CPU.

    Such weights make oneDNN keep activations so too: nothing is reordered around a convolution, and pooling and
    depthwise convolution are several times as fast.
    """
    captured = graph.captured
    for node, role in graph.roles.items():
        for read in node.all_input_nodes if role.is_contraction else ():
            weight = captured.constant(read)
            if weight is not None and weight.ndim == 4 and weight.device.type == "cpu":
                captured.constants[read.name] = weight.contiguous(memory_format=torch.channels_last)


def _ancestors(outputs: Iterable[fx.Node], roles: Roles) -> set[fx.Node]:
    found: set[fx.Node] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node not in found and node.op == "call_function":
            found.add(node)
            pending.extend(roles[node].sources)
    return found


def _step(
    node: fx.Node, graph: ClassifiedGraph, inside: Layers, composite: Composite
) -> Operation | RuledContraction:
    role = graph.roles[node]
    if role.contracted is None:
        return operation_of(node, role.sources, graph.captured)
    made, source = contraction_of(node, graph.captured), graph.roles[role.contracted]
    first = not (source.is_contraction or source.behind_contraction)
    rule = composite.rule_for(*inside.names_of(node), convolution=made.is_convolution, first=first)
    return RuledContraction(made, rule, role.contracted, source.nonnegative)


def _channels(
    graph: ClassifiedGraph,
    steps: dict[fx.Node, Operation | RuledContraction],
    where: dict[fx.Node, Place],
    entries: dict[Edge, list[str]],
    exits: dict[Edge, list[str]],
) -> dict[str, dict[str, int]]:
    """The axis of the channels at either side of each layer."""
    contractions = {
        node: step.contraction if isinstance(step, RuledContraction) else None for node, step in steps.items()
    }
    known = Channels(contractions, graph.roles, where)
    entering: dict[str, list[Edge]] = defaultdict(list)
    for edge, names in entries.items():
        for name in names:
            entering[name].append(edge)
    return {
        "input": {name: known.entering(edges) for name, edges in entering.items()},
        "output": {name: known.leaving(source) for (_, source), names in exits.items() for name in names},
    }


def _completed(plan: Plan) -> dict[fx.Node, list[str]]:
    """For each node that is the last by which relevance leaves some layers: their names."""
    entered: dict[fx.Node, list[str]] = defaultdict(list)
    for (reader, _), names in plan.entries.items():
        entered[reader] += names
    last = {name: node for node in plan.backward for name in entered.get(node, ())}
    found: dict[fx.Node, list[str]] = defaultdict(list)
    for name, node in last.items():
        found[node].append(name)
    return dict(found)


def _absorbs(node: fx.Node, step: Operation | RuledContraction) -> bool:
    """Whether crossing the node may leave relevance with a constant."""
    if isinstance(step, RuledContraction) or step.keeps_rest:
        return True
    read = origin(node).all_input_nodes
    constant = (len(read) == 1 and node.target is aten.add.Tensor) or not all(map(carries, read))
    return step.redistributes and constant


def _readers_above(wanted: set[fx.Node], steps: Iterable[fx.Node], roles: Roles) -> set[fx.Node]:
    """The nodes between the output and the values wanted: readers of those values, and their readers."""
    reach: set[fx.Node] = set()
    reached_values = set(wanted)
    for node in steps:  # forward order
        if any(source in reached_values for source in roles[node].sources):
            reach.add(node)
            reached_values.add(node)
    return reach


def _values_read(node: fx.Node, step: Operation | RuledContraction, origin: fx.Node) -> list[fx.Node]:
    if isinstance(step, RuledContraction):
        return [step.source, node]
    if not step.reads_values:
        return []
    return [node, *origin.all_input_nodes]


def _choose_in_place(plan: Plan, outputs: list[fx.Node], roles: Roles) -> None:
    """Let a rectifier write over its input where relevance, being a multiple of its output, vanishes with it."""
    own_factor = dict.fromkeys(outputs, False)
    for node in plan.backward:
        own = own_factor.get(node, True)
        step = plan.steps[node]
        if roles[node].rectifies:
            (source,) = roles[node].sources
            if own and node.target is aten.relu.default and _overwritable(source, plan, roles):
                plan.in_place.add(node)
            if own and len(source.users) == 1:
                plan.rectified.add(_behind_identities(source, plan, roles))
            sends = node in plan.in_place
        elif isinstance(step, RuledContraction):
            sends = step.rule.proportional_to_input
        else:
            sends = own if step.own_factor is None else step.own_factor
        for source in roles[node].sources:
            own_factor[source] = own_factor.get(source, True) and sends


def _behind_identities(node: fx.Node, plan: Plan, roles: Roles) -> fx.Node:
    """The node that an identity, or a row of them without other readers, repeats."""
    repeats = plan.steps.get(node) is IDENTITY and len(roles[node].sources[0].users) == 1
    return _behind_identities(roles[node].sources[0], plan, roles) if repeats else node


def _overwritable(node: fx.Node, plan: Plan, roles: Roles) -> bool:
    """Whether a rectifier that reads this node may write over it."""
    step = plan.steps.get(node)
    if step is None or len(node.users) > 1:
        return False
    if step is IDENTITY:
        return _overwritable(roles[node].sources[0], plan, roles)
    return isinstance(step, RuledContraction) or step.overwritable
