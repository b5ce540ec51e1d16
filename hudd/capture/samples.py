"""Where the images of a batch are in each value of a captured model: along its first axis or another, or within one.

Windows of Swin transformers lie in the first axis, those of one image side by side; attention layers may put the tokens
first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, fx
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from hudd.capture.graph import RelevanceGraph, carries

aten = torch.ops.aten

RESHAPES = {
    aten._unsafe_view.default, aten.flatten.using_ints, aten.reshape.default, aten.squeeze.default,
    aten.squeeze.dim, aten.squeeze.dims, aten.unflatten.int, aten.unsqueeze.default, aten.view.default,
}  # fmt: skip
"""Operations that keep the numbers and their order."""


@dataclass(frozen=True)
class Place:
    """An axis that holds (outer, N, inner) numbers, row-major, for N images."""

    axis: int = 0
    outer: int = 1
    inner: int = 1

    def first(self, tensor: Tensor) -> Tensor:
        """The tensor with the images along its first axis; outer and inner, if any, are axes of their own behind."""
        if self == Place():
            return tensor
        kept = [size for size in (self.outer, self.inner) if size > 1]
        position = self.axis + (self.outer > 1)
        sizes = [*kept[: self.outer > 1], -1, *kept[self.outer > 1 :]]
        split: Tensor = tensor.unflatten(self.axis, sizes).movedim(position, 0)
        return split

    def back(self, tensor: Tensor) -> Tensor:
        """What :meth:`first` made this of."""
        if self == Place():
            return tensor
        around = (self.outer > 1) + (self.inner > 1)
        return tensor.movedim(0, self.axis + (self.outer > 1)).flatten(self.axis, self.axis + around)


def places(captured: RelevanceGraph) -> dict[fx.Node, Place]:
    """The place of the images in every value for which it is known.

    Parameters
    ----------
    captured : RelevanceGraph
        With the shapes that torch.export found, of which one axis depends on the number of images.
    """
    found: dict[fx.Node, Place] = dict.fromkeys(captured.inputs, Place())
    for node in captured.graph.nodes:
        if node.op == "call_function" and carries(node):
            place = _place(node, {found.get(read) for read in node.all_input_nodes if carries(read)})
            if place is not None:
                found[node] = place
    return found


def _place(node: fx.Node, sources: set[Place | None]) -> Place | None:
    before = sources.pop() if len(sources) == 1 else None
    if not isinstance(node.meta.get("val"), Tensor):
        return before  # a call that is not torch.export's, of its source's shape
    shape = shape_of(node) or []
    varying = [axis for axis, (_, varies) in enumerate(shape) if varies]
    if len(varying) != 1:
        return None
    (axis,) = varying
    times = shape[axis][0]
    if node.target in RESHAPES and before is not None:
        source = shape_of(node.all_input_nodes[0])
        behind = before.inner * _numbers(source[before.axis + 1 :]) if source is not None else 0
        inner, rest = divmod(behind, _numbers(shape[axis + 1 :]))
        return Place(axis, times // inner, inner) if inner and not rest and times % inner == 0 else None
    if times == 1:
        return Place(axis)
    kept = before is not None and before.outer * before.inner == times
    return Place(axis, before.outer, before.inner) if kept and before is not None else None


def _numbers(shape: list[tuple[int, bool]]) -> int:
    return prod(size for size, _ in shape)


def shape_of(node: fx.Node) -> list[tuple[int, bool]] | None:
    """Of every axis the size for one image, and whether it is a multiple of the number of images.

    None if there is no telling: an axis may hold an image more, or those that a condition chose.
    """
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return None
    sizes: list[tuple[int, bool]] = []
    for size in value.shape:
        if not isinstance(size, torch.SymInt):
            sizes.append((int(size), False))
            continue
        expression = size.node.expr
        (symbol, *others) = expression.free_symbols
        times = expression / symbol
        if others or not times.is_Integer or free_unbacked_symbols(size):
            return None
        sizes.append((int(times), True))
    return sizes
