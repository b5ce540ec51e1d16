"""What a captured model is: a functional graph of ATen operations with the module path of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

Call = fx.Node


@dataclass
class RelevanceGraph:
    """A model as relevance sees it.

    Attributes
    ----------
    graph : torch.fx.Graph
        Functional ATen operations; every node carries its module path in ``meta["module"]``.
    constants : dict of str to Tensor
        Parameters, buffers and folded weights, by placeholder name.
    inputs : list of Node
        The model's inputs.
    outputs : list of Node
        The model's outputs.
    enclosing : dict of str to tuple of str
        By the module of a call: the modules that the call was made in, outermost first, itself last.
    standard : set of str
        The modules of a call whose class is torch's own, ``torch.nn``.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    inputs: list[Call]
    outputs: list[Call]
    enclosing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    standard: set[str] = field(default_factory=set)

    def modules_of(self, node: Call) -> tuple[str, ...]:
        """The modules that this call was made in, outermost first; ``block@1`` is the second call of ``block``."""
        path = module_of(node)
        return self.enclosing.get(path, (path,) if path else ())

    def constant(self, node: object) -> Tensor | None:
        """The tensor behind a parameter's or buffer's placeholder; None for anything else."""
        return self.constants.get(node.name) if isinstance(node, Call) else None

    def add_constant(self, name: str, value: Tensor, parameter: str = "") -> Call:
        """Add a constant, computed from the parameter of this path, and return its placeholder."""
        first = next(iter(self.graph.nodes))
        with self.graph.inserting_before(first):
            node = self.graph.placeholder(name)
        node.meta["module"] = ""
        node.meta["parameter"] = parameter
        self.constants[node.name] = value
        return node


def module_of(node: Call) -> str:
    """Path of the module that made this call, e.g. ``features.3``; ``relu@1`` is the second call of ``relu``."""
    return str(node.meta["module"])


def parameter_of(node: Call) -> str:
    """Path of the parameter or buffer that a constant is, or is computed from (the first of several); else empty."""
    if node.op == "placeholder":
        return str(node.meta.get("parameter", ""))
    return next(filter(None, map(parameter_of, node.all_input_nodes)), "")


def carries(node: object) -> bool:
    """Whether the node stands for a tensor that depends on the model's inputs."""
    return isinstance(node, Call) and bool(node.meta.get("depends_on_input", False))


def target_name(node: Call) -> str:
    """The operation as torch names it, e.g. ``aten.conv2d.default``."""
    return (
        str(node.target)
        if isinstance(node.target, torch._ops.OpOverload)
        else str(getattr(node.target, "__name__", node.target))
    )
