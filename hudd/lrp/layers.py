"""Which parts of a model are layers: their names, their edges, and what stands against a heatmap.

A layer is a module. So is each contraction that a module computes itself, next to others of its own or of its children:
it goes by the path of its weight.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import fx

from hudd.capture.graph import module_of
from hudd.capture.samples import Place
from hudd.errors import UsageError
from hudd.lrp.classification import ClassifiedGraph
from hudd.lrp.contraction import weight_parameter

INPUT = "input"
Edge = tuple[fx.Node, fx.Node]  # reader, source


class Layers:
    """The layers that each node of a model is in.

    Parameters
    ----------
    graph : ClassifiedGraph
        The model.
    """

    def __init__(self, graph: ClassifiedGraph) -> None:
        self._captured = graph.captured
        contractions = [node for node, role in graph.roles.items() if role.is_contraction]
        direct = Counter(map(module_of, contractions))
        within = Counter(name for node in contractions for name in self._captured.modules_of(node))
        self.contracting = set(direct) - {""}  # modules that compute a contraction themselves
        self._own: dict[fx.Node, str] = {}
        calls: Counter[str] = Counter()
        for node in contractions:
            module, weight = module_of(node), weight_parameter(node)
            alone = direct[module] == within[module] == 1 or module in self._captured.standard
            if weight and not alone:
                self._own[node] = f"{weight}@{calls[weight]}" if calls[weight] else weight
                calls[weight] += 1

    def of(self, node: fx.Node) -> tuple[str, ...]:
        """The layers that the node is part of, outermost first."""
        own = self._own.get(node)
        return (*self._captured.modules_of(node), *(() if own is None else (own,)))

    def names_of(self, node: fx.Node) -> tuple[str, ...]:
        """What a rule for this contraction may call it: its module, and its weight where that names a layer."""
        return tuple(filter(None, (module_of(node), self._own.get(node))))

    def by_default(self, nodes: Iterable[fx.Node], redistributing: Iterable[fx.Node]) -> set[str]:
        """The innermost modules that redistribute relevance, and all that compute a contraction themselves."""
        containers = {name for node in nodes for name in self._captured.modules_of(node)[:-1]}
        return {*map(module_of, redistributing)} - containers | self.contracting | {*self._own.values()}


def boundaries(
    graph: ClassifiedGraph, layers: Layers, nodes: Iterable[fx.Node], outputs: list[fx.Node]
) -> tuple[dict[str, list[Edge]], dict[str, list[Edge]]]:
    """By layer: the edges that lead into it, and those that lead out of it, the model's outputs included."""
    entering: dict[str, list[Edge]] = defaultdict(list)
    leaving: dict[str, list[Edge]] = defaultdict(list)
    for reader in nodes:
        around = layers.of(reader)
        for source in graph.roles[reader].sources:
            before = layers.of(source)
            for name in around:
                if name not in before:
                    entering[name].append((reader, source))
            for name in before:
                if name not in around:
                    leaving[name].append((reader, source))
    for output in dict.fromkeys(outputs):
        for name in layers.of(output):
            leaving[name].append((output, output))
    return entering, leaving


def obstacle(
    entering: list[Edge], leaving: list[Edge], where: Mapping[fx.Node, Place], at: str
) -> str | None:
    """What stands against a heatmap of a layer."""
    inputs, outputs = ({source for _, source in edges} for edges in (entering, leaving))
    if len(inputs) != 1:
        return (
            f"has {len(inputs)} inputs that carry relevance, but a heatmap needs exactly one; "
            "ask for the layers inside it or before it."
        )
    if at == "output" and len(outputs) != 1:
        return (
            f"has {len(outputs)} outputs that carry relevance, but a heatmap at the output needs exactly one; "
            "ask for the layers inside it, or for at='input'."
        )
    if not all(source in where for source in inputs | outputs):
        return (
            "has the images of a batch mixed with one another, so that each has no heatmap there; "
            "ask for the layers inside it or before it."
        )
    return None


def layer_names(
    obstacles: Mapping[str, str | None], by_default: Collection[str], asked: Sequence[str] | None
) -> list[str]:
    """The layers asked for, in forward order; a glob leaves out those that can have no heatmap."""
    if asked is None:
        return [name for name, found in obstacles.items() if name in by_default and found is None]
    chosen: set[str] = set()
    for pattern in asked:
        found = (
            [pattern] if pattern in obstacles else [name for name in obstacles if fnmatchcase(name, pattern)]
        )
        if not found and pattern == INPUT:
            found = [INPUT]
        if not found:
            raise UsageError(
                f"layer '{pattern}' is not in the model; its layers are: {', '.join(obstacles)}."
            )
        possible = [name for name in found if obstacles.get(name) is None]
        if not possible:
            raise UsageError(f"layer '{found[0]}' {obstacles[found[0]]}")
        chosen.update(possible)
    return [name for name in [INPUT, *obstacles] if name in chosen]


def by_edge(boundaries: Mapping[str, list[Edge]], names: list[str]) -> dict[Edge, list[str]]:
    """For each edge the layers whose boundary it crosses."""
    layers: dict[Edge, list[str]] = defaultdict(list)
    for name in names:
        for edge in boundaries.get(name, ()):
            layers[edge].append(name)
    return dict(layers)
