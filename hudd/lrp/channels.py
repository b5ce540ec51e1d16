"""Along which axis a layer's heatmap has its channels: the first after the images, the last, or another.

Convolutions have them behind the images, linear layers last. What lies between follows them: an axis is the same one
behind an operation that keeps its place and extent, or moves it. Where nothing tells, tokens (N, T, C) have them last,
everything else behind the images. An axis is counted from the end, so that it does not matter where the images are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import torch
from torch import fx

from hudd.capture.samples import RESHAPES, Place, shape_of
from hudd.lrp.classification import Role
from hudd.lrp.contraction import Contraction

aten = torch.ops.aten

Edge = tuple[fx.Node, fx.Node]  # reader, source

_PERMUTATIONS = {
    aten.movedim.int,
    aten.permute.default,
    aten.t.default,
    aten.transpose.int,
}
_MOST = 6  # axes of a value without a known shape


class Channels:
    """The axes of the channels in the values of a captured model.

    Parameters
    ----------
    contractions : mapping of Node to Contraction or None
        What relevance passes, in forward order; None for operations without weights.
    roles : mapping of Node to Role
        Of every node.
    places : mapping of Node to Place
        Where the images of a batch are in each value.
    """

    def __init__(
        self,
        contractions: Mapping[fx.Node, Contraction | None],
        roles: Mapping[fx.Node, Role],
        places: Mapping[fx.Node, Place],
    ) -> None:
        self._contractions, self._roles, self._places = contractions, roles, places
        self._axes: dict[fx.Node, int] = {}
        for node in contractions:  # as they are made
            found = [self._behind(source, node) for source in roles[node].sources]
            self._note(node, self._own(node), *found)
        for node in reversed(list(contractions)):  # as they are read
            for source in roles[node].sources:
                self._note(source, self._own(node), self._before(source, node))

    def entering(self, edges: Iterable[Edge]) -> int:
        """The axis in the heatmap of the value that enters a layer: as a contraction there reads it, if one does."""
        edges = list(edges)
        read = [axis for axis in (self._own(reader) for reader, _ in edges) if axis is not None]
        return self._by_image(edges[0][1], read[0] if read else None)

    def leaving(self, source: fx.Node) -> int:
        """The axis in the heatmap of a value that leaves a layer."""
        return self._by_image(source, None)

    def _own(self, node: fx.Node) -> int | None:
        """The axis of a contraction's input, and of its output."""
        contraction = self._contractions.get(node)
        if contraction is None:
            return None
        axis = contraction.features_axis
        return axis if axis < 0 else axis - contraction.weight.ndim

    def _note(self, node: fx.Node, *found: int | None) -> None:
        for axis in found:
            if axis is not None:
                self._axes.setdefault(node, axis)

    def _behind(self, source: fx.Node, node: fx.Node) -> int | None:
        axis = self._axes.get(source)
        return None if axis is None else _moves(source, node, self._roles[node].origin).get(axis)

    def _before(self, source: fx.Node, node: fx.Node) -> int | None:
        axis = self._axes.get(node)
        return (
            {to: at for at, to in _moves(source, node, self._roles[node].origin).items()}.get(axis)
            if axis is not None
            else None
        )

    def _by_image(self, node: fx.Node, axis: int | None) -> int:
        """The axis once the images are first, see :meth:`Place.first`."""
        shape, place = shape_of(node), self._places[node]
        axis = self._axes.get(node) if axis is None else axis
        if shape is None:
            return -1 if axis is None else axis
        if axis is None:
            return 1 - len(shape) if len(shape) > 3 else -1
        passed = axis + len(shape) < place.axis  # by the axis of the images, on its way to the front
        return axis + 1 - (place.outer > 1) - (place.inner > 1) if passed else axis


def _moves(source: fx.Node, node: fx.Node, made_by: fx.Node) -> dict[int, int]:
    """From axes of what an operation reads to the same axes of its output, both from the end."""
    before, after = shape_of(source), shape_of(node)
    if before is None or after is None:  # a call that is not torch.export's, of its source's shape
        return {axis: axis for axis in range(-_MOST, 0)}
    axes = range(-len(before), 0)
    if made_by.target in _PERMUTATIONS:
        # Each axis is told from the others by its extent.
        assert callable(made_by.target)
        moved = made_by.target(torch.empty([-axis for axis in axes], device="meta"), *made_by.args[1:])
        return {-extent: at - len(before) for at, extent in enumerate(moved.shape)}
    if made_by.target in RESHAPES:
        there = {_lying(after, axis): axis for axis in range(-len(after), 0)}
        return {axis: there[_lying(before, axis)] for axis in axes if _lying(before, axis) in there}
    return {axis: axis for axis in axes if len(before) == len(after) and before[axis] == after[axis]}


def _lying(shape: list[tuple[int, bool]], axis: int) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """What tells an axis when the numbers stay in their order: its extent, and how much lies behind it."""
    behind = shape[len(shape) + axis + 1 :]
    return shape[axis], (prod(size for size, _ in behind), any(varies for _, varies in behind))
