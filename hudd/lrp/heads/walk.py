"""The head of a captured model: the way from an output back to the last pre-activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, fx

from hudd.capture.graph import carries, module_of, target_name
from hudd.capture.samples import RESHAPES, Place
from hudd.capture.simplify import identity
from hudd.errors import UnsupportedOperation
from hudd.lrp.classification import ClassifiedGraph
from hudd.lrp.heads.trends import (
    LOG_SOFTMAX,
    RISING,
    RISING_FROM,
    SOFTMAX,
    STATISTICS,
    Trends,
    aten,
    reduced_axes,
)
from hudd.lrp.operations import routing, sums
from hudd.lrp.operations.base import is_activation, origin

_LINEAR = {
    *sums.AVERAGES, *RESHAPES, *routing.OPERATIONS, identity, aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor,
    aten.sub.Scalar, aten.rsub.Scalar, aten.rsub.Tensor, aten.neg.default, aten.mul.Scalar, aten.div.Scalar,
    aten.mul.Tensor, aten.div.Tensor,
}  # fmt: skip
_STRICT = {*RISING, *RISING_FROM, *SOFTMAX, *LOG_SOFTMAX, aten.reciprocal.default, aten.rsqrt.default}
_CASTS = {aten.to.dtype, aten._to_copy.default}
_DEEPEST = 50  # operations of a head; what is longer is a network
_SUMS = {aten.sum.dim_IntList, aten.add.Tensor}


@dataclass(frozen=True)
class HeadStep:
    """One step back through a head.

    Attributes
    ----------
    node : Node
        What is crossed.
    sources : list of Node
        Where it leads.
    kind : {"pass", "adjoint", "share", "each", "mean"}
        To the same number of the source, times `sign`; as the operation's gradient; as that, in shares of the summands'
        values; whole to each factor; in equal parts along the axes that are reduced.
    sign : int
        -1 where the output falls as the source rises.
    """

    node: fx.Node
    sources: list[fx.Node]
    kind: str
    sign: int = 1


@dataclass(frozen=True)
class Head:
    """What comes after the last pre-activations.

    Attributes
    ----------
    output : Node
        The model's output.
    steps : list of HeadStep
        From the output to the pre-activations.
    preactivations : list of Node
        Where relevance enters.
    operations : tuple of str
        The operations that make it a head, as torch names them, the output's first.
    low, high : float
        Between which the output is, whatever the input.
    """

    output: fx.Node
    steps: list[HeadStep]
    preactivations: list[fx.Node]
    operations: tuple[str, ...]
    low: float
    high: float

    @property
    def text(self) -> str:
        """What is explained, in words."""
        before = " of ".join(self.operations)
        if len(self.preactivations) > 1:
            return f"the pre-activations of {len(self.preactivations)} branches, added up, before {before}"
        return f"the pre-activation before {before}"

    @property
    def reads(self) -> set[fx.Node]:
        """The values that crossing the head needs."""
        inner = {step.node for step in self.steps} | {n for step in self.steps for n in step.sources}
        return inner | {n for step in self.steps for n in origin(step.node).all_input_nodes} | {self.output}


@dataclass
class _Found:
    bases: list[fx.Node]
    steps: list[HeadStep] = field(default_factory=list)
    operations: list[fx.Node] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        return bool(self.operations)


def find_head(graph: ClassifiedGraph, output: fx.Node, places: Mapping[fx.Node, Place]) -> Head | None:
    """The head that makes this output; None where it is a layer's own.

    Raises
    ------
    UnsupportedOperation
        If the head mixes the images of a batch, or a class has no pre-activation.
    """
    walk = _Walk(graph, places)
    found = walk.explore(output)
    if not found.counts:
        return None
    for node in found.operations:
        first = graph.roles[node].origin
        if first.target in (*SOFTMAX, *LOG_SOFTMAX):
            walk.check_softmax(first)
    low, high = walk.trends.range_of(output)
    bases = list(dict.fromkeys(found.bases))
    order = {node: number for number, node in enumerate(graph.roles)}
    steps = sorted(_joined(found.steps), key=lambda step: -order[step.node])
    return Head(
        output,
        steps,
        bases,
        tuple(dict.fromkeys(_name(graph.roles[node].origin) for node in found.operations)),
        low,
        high,
    )


def _joined(steps: list[HeadStep]) -> list[HeadStep]:
    """Each node once: two branches of a head may come together below."""
    return list({step.node: step for step in steps}.values())


class _Walk:
    def __init__(self, graph: ClassifiedGraph, places: Mapping[fx.Node, Place]) -> None:
        self._captured, self._roles, self._places = graph.captured, graph.roles, places
        self._order = {node: number for number, node in enumerate(graph.roles)}
        self.trends = Trends(graph, self._image_axis)
        self._known: dict[fx.Node, _Found] = {}
        self._depth = 0

    def _image_axis(self, node: fx.Node) -> int | None:
        place = self._places.get(node)
        return None if place is None else place.axis

    def explore(self, node: fx.Node) -> _Found:
        """The head from this node down; without operations where it is a pre-activation itself."""
        if node not in self._known:
            self._depth += 1
            self._known[node] = self._explored(node) if self._depth < _DEEPEST else _Found([node])
            self._depth -= 1
        return self._known[node]

    def _explored(self, node: fx.Node) -> _Found:
        nothing = _Found([node])
        if node.op != "call_function" or not is_activation(node):
            return nothing
        first = self._roles[node].origin
        target = first.target
        bottom = None if target in _CASTS else self._dominator(node)
        if bottom is not None:
            trend = self.trends.along(node, bottom)
            if trend is not None and trend.direction and _shape(node) == _shape(bottom):
                inside = self._between(node, bottom)
                names = [n for n in inside if self._roles[n].origin.target in _STRICT or self._normalises(n)]
                return self._with(node, [bottom], "pass", names, trend.direction)
        if target in _CASTS:
            return self._cast(node, first)
        if target is aten.logsumexp.default:
            (source,) = self._roles[first].activations
            members = self.explore(source).counts and not self._exclusive(first, [source])
            return self._with(node, [source], "mean" if members else "adjoint", [node])
        return self._combined(node, nothing)

    def _cast(self, node: fx.Node, first: fx.Node) -> _Found:
        """Another precision: a head may begin with one, for its arithmetic alone."""
        inner = self.explore(first.all_input_nodes[0])
        step = HeadStep(node, first.all_input_nodes, "pass")
        return _Found(inner.bases, [step, *inner.steps], inner.operations)

    def _combined(self, node: fx.Node, nothing: _Found) -> _Found:
        """Sums, means, choices and products of numbers that have come through a head."""
        first = self._roles[node].origin
        target = first.target
        sources = list(self._roles[first].activations)
        contracted = self._roles[first].contracted
        weighted = contracted is not None and self._adds_up(first, contracted)
        if contracted is not None and weighted:
            sources = [contracted]
        elif target not in _LINEAR or not sources:
            return nothing
        inner = [self.explore(source) for source in sources]
        if not all(found.counts for found in inner):
            return nothing
        if target is aten.div.Tensor and (len(sources) > 1 or not is_activation(first.args[0])):
            return nothing
        if target is aten.mul.Tensor and len(sources) > 1:
            positive = all(self.trends.range_of(source)[0] >= 0 for source in sources)
            return self._with(node, sources, "each", []) if positive else nothing
        kind = "share" if weighted or (target in _SUMS and self._exclusive(first, sources)) else "adjoint"
        return self._with(node, sources, kind, [])

    def _with(
        self, node: fx.Node, sources: list[fx.Node], kind: str, names: list[fx.Node], sign: int = 1
    ) -> _Found:
        inner = [self.explore(source) for source in sources]
        if not names and not all(found.counts for found in inner):
            return _Found([node])
        step = HeadStep(node, sources, kind, sign)
        return _Found(
            [base for found in inner for base in found.bases],
            [step, *(below for found in inner for below in found.steps)],
            [*names, *(name for found in inner for name in found.operations)],
        )

    def _dominator(self, node: fx.Node) -> fx.Node | None:
        """The nearest value that all which makes this node comes from, through operations number by number."""
        frontier = set(self._roles[node].activations)
        while len(frontier) > 1:
            latest = max(frontier, key=self._order.__getitem__)
            if latest.op != "call_function" or self._is_contraction(latest):
                return None
            frontier.remove(latest)
            frontier.update(self._roles[latest].activations)
        return next(iter(frontier), None)

    def _is_contraction(self, node: fx.Node) -> bool:
        return self._roles[self._roles[node].origin].is_contraction

    def _between(self, node: fx.Node, bottom: fx.Node) -> list[fx.Node]:
        found: dict[fx.Node, None] = {}
        pending = [node]
        while pending:
            one = pending.pop(0)
            if one is not bottom and one not in found:
                found[one] = None
                pending += self._roles[one].activations
        return list(found)

    def _normalises(self, node: fx.Node) -> bool:
        return self._roles[node].origin.target in STATISTICS

    def _exclusive(self, node: fx.Node, sources: list[fx.Node]) -> bool:
        """Whether the summands are probabilities of one softmax, of which each has its share in the sum."""
        if len(sources) > 1:
            if not all(self.trends.range_of(source)[0] >= 0 for source in sources):
                return False
            below = [set(self.explore(source).bases) for source in sources]
            return any(below[0] & other for other in below[1:])
        axes, source = reduced_axes(node), sources[0]
        while self._roles[source].origin.target not in (*SOFTMAX, *LOG_SOFTMAX):
            if self._roles[source].origin.target in RESHAPES:
                return True
            if self._roles[source].origin.target in (aten.stack.default, aten.cat.default):
                return False
            read = self._roles[source].activations
            if len(read) != 1:
                return False
            source = read[0]
        return bool(set(axes) & set(reduced_axes(source)))

    def _adds_up(self, node: fx.Node, source: fx.Node) -> bool:
        """Whether a matrix product adds up probabilities: with weights that are never negative, and no bias."""
        if self.trends.range_of(source)[0] < 0 or self._roles[source].origin.target not in SOFTMAX:
            return False
        weights = [self._captured.constant(read) for read in node.all_input_nodes if not carries(read)]
        return len(weights) == 1 and weights[0] is not None and bool((weights[0] >= 0).all())

    def check_softmax(self, node: fx.Node) -> None:
        """Refuse a softmax over the images of a batch, or against a constant."""
        (axis,) = reduced_axes(node)
        if self._image_axis(node) == axis:
            raise UnsupportedOperation(
                target_name(node),
                module_of(node),
                f"It is over axis {axis}, along which the images of a batch are, so that each image's output depends "
                "on the others; give it the axis of the classes, dim=1 for an output (N, K).",
            )
        source = node.args[0]
        while isinstance(source, fx.Node) and self._roles[source].origin.target in {identity, *RESHAPES}:
            source = self._roles[source].origin.args[0]
        if not isinstance(source, fx.Node) or source.target not in (aten.cat.default, aten.stack.default):
            return
        if any(not is_activation(part) for part in source.args[0]):  # type: ignore[union-attr]
            raise UnsupportedOperation(
                target_name(node),
                module_of(node),
                "One of the scores that it compares is a constant, which has no evidence; return the other scores "
                "alone, without the softmax.",
            )


def _shape(node: fx.Node) -> str:
    value = node.meta.get("val")
    return str(tuple(value.shape)) if isinstance(value, Tensor) else str(node)


def _name(node: fx.Node) -> str:
    return target_name(node).removeprefix("aten.").partition(".")[0].lstrip("_")
