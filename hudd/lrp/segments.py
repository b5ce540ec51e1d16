"""A forward pass cut into segments, so that activations can be computed again in place of being kept.

Kept are the values that lead from one segment into another; the activations inside one are computed again when the
backward sweep comes to it. With about as many segments as each has layers, memory goes with the square root of the
depth (Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv 1604.06174).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt, prod

import torch
from torch import Tensor, fx


@dataclass(frozen=True)
class Segment:
    """Some calls in a row.

    Attributes
    ----------
    calls : list of Node
        In forward order.
    backward : list of Node
        Those of them that relevance crosses, in its order.
    made : frozenset of Node
        The values that it makes; for the first segment the model's inputs and constants too.
    reads : frozenset of Node
        The values that crossing it needs.
    borrowed : frozenset of Node
        The values that it needs and does not compute.
    """

    calls: list[fx.Node]
    backward: list[fx.Node]
    made: frozenset[fx.Node]
    reads: frozenset[fx.Node]
    borrowed: frozenset[fx.Node]


def segments_of(
    calls: Sequence[fx.Node],
    backward: Sequence[fx.Node],
    reads: Mapping[fx.Node, Sequence[fx.Node]],
    *,
    several: bool,
) -> list[Segment]:
    """Cut a forward pass into segments that hold about equally much of what crossing needs.

    Parameters
    ----------
    calls : sequence of Node
        The forward pass.
    backward : sequence of Node
        What relevance crosses, in its order.
    reads : mapping of Node to sequence of Node
        The values that crossing each needs.
    several : bool
        About the square root of the number of values to be kept; else one.
    """
    read = {value for values in reads.values() for value in values} & set(calls)
    pieces = max(1, isqrt(len(read))) if several else 1
    total, filled = sum(map(_size, read)), 0
    crossed = set(backward)
    start = next((i for i, node in enumerate(calls) if node in crossed), 0) if several else 0
    chunks: list[list[fx.Node]] = [[]]
    for node in calls[start:]:
        if pieces * filled > total * len(chunks):
            chunks.append([])
        chunks[-1].append(node)
        filled += _size(node) if node in read else 0
    if start:  # what comes before the earliest layer asked for is not computed again
        chunks.insert(0, list(calls[:start]))
    before = {read for node in calls for read in node.all_input_nodes} - set(calls)
    return [_segment(chunk, backward, reads, set() if i else before) for i, chunk in enumerate(chunks)]


def _segment(
    calls: list[fx.Node],
    backward: Sequence[fx.Node],
    reads: Mapping[fx.Node, Sequence[fx.Node]],
    before: set[fx.Node],
) -> Segment:
    inside = set(calls)
    crossed = [node for node in backward if node in inside]
    read = frozenset(value for node in crossed for value in reads[node])
    borrowed = read.union(*(node.all_input_nodes for node in calls)) - inside
    return Segment(calls, crossed, frozenset(inside | before), read, borrowed)


def _size(node: fx.Node) -> int:
    """Numbers of the node's value for one image, about: an axis that holds the batch counts as one."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return 0
    return prod(1 if isinstance(size, torch.SymInt) else size for size in value.shape)
