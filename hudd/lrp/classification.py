"""What each node of a captured model is to relevance: told once, before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import fx

from hudd.capture.graph import RelevanceGraph, carries
from hudd.lrp.contraction import data_input, is_contraction
from hudd.lrp.operations import OPERATIONS, passing, routing, sums
from hudd.lrp.operations.base import activation_arguments, activations_read, origin

aten = torch.ops.aten

_CLAMPS = (aten.clamp.default, aten.clamp_min.default, aten.hardtanh.default)


@dataclass(frozen=True)
class Role:
    """What a node is to relevance.

    Attributes
    ----------
    origin : Node
        The call behind an item of a several-output call; else the node itself.
    activations : tuple of Node
        The activations that the call reads, each once.
    sources : tuple of Node
        Those of them that receive relevance from the node.
    contracted : Node or None
        The activation that a contraction, a linear operation with weights, reads; None where the node is none.
    behind_contraction : bool
        Whether a contraction has been part of what the node reads.
    rectifies : bool
        Whether its output is zero where what it reads is not positive.
    nonnegative : bool
        Whether its output is known to hold no negative number.
    """

    origin: fx.Node
    activations: tuple[fx.Node, ...] = ()
    sources: tuple[fx.Node, ...] = ()
    contracted: fx.Node | None = None
    behind_contraction: bool = False
    rectifies: bool = False
    nonnegative: bool = False

    @property
    def is_contraction(self) -> bool:
        """Whether it is a linear operation with weights; a matrix product of two activations is not."""
        return self.contracted is not None


@dataclass(frozen=True)
class ClassifiedGraph:
    """A captured model with the role of every node."""

    captured: RelevanceGraph
    roles: Mapping[fx.Node, Role]


def classify(captured: RelevanceGraph) -> ClassifiedGraph:
    """Classify every node of a captured model; the graph must stay as it is from then on."""
    roles: dict[fx.Node, Role] = {}
    for node in captured.graph.nodes:  # a node comes after what it reads
        roles[node] = _role(node, captured, roles) if node.op == "call_function" else Role(node)
    return ClassifiedGraph(captured, MappingProxyType(roles))


def _role(node: fx.Node, captured: RelevanceGraph, roles: Mapping[fx.Node, Role]) -> Role:
    sources = _sources(node) if carries(node) else ()
    rectifies = _rectifies(node)
    return Role(
        origin=origin(node),
        activations=tuple(activations_read(node)),
        sources=sources,
        contracted=data_input(node) if is_contraction(node, captured) else None,
        behind_contraction=any(
            roles[source].is_contraction or roles[source].behind_contraction for source in sources
        ),
        rectifies=rectifies,
        nonnegative=rectifies or _nonnegative(node, roles),
    )


def _sources(node: fx.Node) -> tuple[fx.Node, ...]:
    operation = OPERATIONS.get(origin(node).target)
    if operation is None or operation.sources is None:
        return tuple(activations_read(node))
    return tuple(operation.sources(node))


def _rectifies(node: fx.Node) -> bool:
    target, low = origin(node).target, origin(node).args[1:2]
    return target in passing.RECTIFIERS or (target in _CLAMPS and low == (0,))


def _nonnegative(node: fx.Node, roles: Mapping[fx.Node, Role]) -> bool:
    """Whether the operation makes no negative number, or none of what it reads."""
    target = origin(node).target
    if target in passing.NONNEGATIVE:
        return True
    if target in sums.KEEP_SIGN:
        keeps = target is not aten.add.Tensor or (not node.kwargs and len(activation_arguments(node)) == 2)
    else:
        keeps = target in routing.KEEP_SIGN or OPERATIONS.get(target) is passing.IDENTITY
    return keeps and all(carries(read) and roles[read].nonnegative for read in origin(node).all_input_nodes)
