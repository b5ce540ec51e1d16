"""Capture of a model with torch.export: functional operations, in-place calls and aliases resolved."""

from __future__ import annotations

import io
import logging
import operator
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, suppress

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection, default_decompositions
from torch.export.graph_signature import InputKind, OutputKind

from hudd.capture.graph import RelevanceGraph, carries
from hudd.capture.simplify import simplify
from hudd.errors import UsageError

aten = torch.ops.aten

_SPELLED_OUT = (aten.einsum.default, aten.glu.default, aten.gru.input, aten.lstm.input)
_ONE_AT_A_TIME = threading.Lock()  # torch.export, standard error and a model's mode are the whole process's


def tensors_of(given: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a model is given, one tensor an input.

    Raises
    ------
    UsageError
        If there is nothing, or something that is no tensor.
    """
    tensors = tuple(given) if isinstance(given, Sequence) else (given,)
    if not tensors:
        raise UsageError("there is no input; give a tensor, or a list with one a model input.")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise UsageError(
                f"inputs must be torch tensors, one a model input, but one is of type {type(tensor).__name__}; "
                "torch.from_numpy makes a tensor of a NumPy array."
            )
    return tensors


def without_autocast(tensors: tuple[Tensor, ...]) -> AbstractContextManager[object]:
    """Within, torch computes in the precision of these tensors, whatever the caller's autocast asks for."""
    kind = tensors[0].device.type
    available = torch.amp.is_autocast_available(kind)
    return torch.autocast(kind, enabled=False) if available else nullcontext()


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Run the body with `model` in evaluation mode, and leave each module as it was."""
    training = [module for module in model.modules() if module.training]
    with suppress(NotImplementedError):  # an exported program's module has but one mode, and says so
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _quietly() -> Iterator[None]:
    """Run the body without what torch.export prints about a model that it cannot trace: the error says it."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _export(model: nn.Module, example: Sequence[Tensor]) -> ExportedProgram:
    # A batch of two, because torch.export takes an axis of length one for a constant.
    batch = tuple(torch.cat([tensor[:1], tensor[:1]]) for tensor in example)
    shapes = ShapesCollection()
    for tensor in batch:
        shapes[tensor] = {0: Dim.DYNAMIC}
    try:
        with _evaluation_mode(model), _quietly(), torch.no_grad():
            dynamic = shapes.dynamic_shapes(model, batch)
            program = torch.export.export(model, batch, dynamic_shapes=dynamic)
            known = default_decompositions()
            spelled_out = {operation: known[operation] for operation in _SPELLED_OUT}
            decomposed: ExportedProgram = program.run_decompositions(spelled_out)
            return decomposed
    except Exception as error:  # torch.export raises errors of many kinds, all of them about the user's model
        lines = str(error).strip().splitlines()
        cause = lines[0].rstrip(".") if lines else type(error).__name__
        raise UsageError(
            f"the model {type(model).__name__} cannot be captured for an input of shape {tuple(example[0].shape)}: "
            f"{cause}. Give it the input that it expects, and make its forward free of branches on tensor values and "
            "of Python side effects, with x.size(0) in place of len(x), so that torch.export can trace it."
        ) from error


def _modules(node: fx.Node) -> tuple[str, ...]:
    """The modules that the node's call was made in, outermost first, each with the number of its call."""
    stack = node.meta.get("nn_module_stack") or {}
    calls = {path: "".join(key.partition("@")[1:]) for key, (path, _) in stack.items()}
    path = list(stack.values())[-1][0] if stack else ""
    if not path or path.startswith("_empty"):
        return ()
    parts, call, names = path.split("."), "", []
    for depth in range(1, len(parts) + 1):
        module = ".".join(parts[:depth])
        call = calls.get(module, call)  # a list of modules is not called, and belongs to the call around it
        names.append(module + call)
    return tuple(names)


def _is_standard(node: fx.Node) -> bool:
    """Whether the module that made the call is one of ``torch.nn``."""
    stack = node.meta.get("nn_module_stack") or {}
    kind = list(stack.values())[-1][1] if stack else ""
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return name.startswith("torch.nn.")


_MAKERS = {
    aten.empty_like.default, aten.fill.Scalar, aten.full_like.default, aten.new_empty.default, aten.new_full.default,
    aten.new_ones.default, aten.new_zeros.default, aten.ones_like.default, aten.zero.default, aten.zeros_like.default,
}  # fmt: skip


def _mark_dependence(graph: fx.Graph, inputs: set[str]) -> None:
    for node in graph.nodes:
        if node.op == "placeholder":
            node.meta["depends_on_input"] = node.name in inputs
        else:
            # Makers take an input's size and kind alone.
            sizes = isinstance(node.meta.get("val"), torch.SymInt) or node.target in {operator.mul, *_MAKERS}
            read = node.all_input_nodes[1:] if node.target is aten.fill.Tensor else node.all_input_nodes
            node.meta["depends_on_input"] = not sizes and any(carries(source) for source in read)


def capture(model: nn.Module, example: Tensor | Sequence[Tensor]) -> RelevanceGraph:
    """Capture a model as a functional graph with a dynamic batch axis.

    Parameters
    ----------
    model : torch.nn.Module
        Any traceable model, or the module of an exported program; taken in evaluation mode and left as it was.
    example : Tensor or sequence of Tensor
        An input, (N, ...); only its first sample is used.

    Returns
    -------
    RelevanceGraph
        With batch norms folded into the linear operations before them, and identities taken out.

    Raises
    ------
    UsageError
        If torch.export cannot trace the model.
    """
    tensors = tensors_of(example)
    kinds = {value.dtype for value in model.parameters() if value.is_floating_point()} - {torch.float32}
    if kinds and tensors[0].dtype == torch.float32:
        raise UsageError(
            f"the model {type(model).__name__} has weights of {', '.join(sorted(map(str, kinds)))}, but relevance is "
            "computed in float32; give model.float()."
        )
    with _ONE_AT_A_TIME, without_autocast(tensors):
        return _graph_of(_export(model, tensors))


def _graph_of(program: ExportedProgram) -> RelevanceGraph:
    state = {**program.constants, **program.state_dict}
    constants: dict[str, Tensor] = {}
    inputs: list[str] = []
    parameters: dict[str, str] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(spec.arg.name)
        else:
            constants[spec.arg.name] = state[str(spec.target)].detach()
            parameters[spec.arg.name] = str(spec.target)
    standard: set[str] = set()
    enclosing: dict[str, tuple[str, ...]] = {}
    for node in program.graph.nodes:
        modules = _modules(node)
        node.meta["module"] = modules[-1] if modules else ""
        node.meta["parameter"] = parameters.get(node.name, "")
        enclosing[node.meta["module"]] = modules
        if _is_standard(node):
            standard.add(node.meta["module"])
    _mark_dependence(program.graph, set(inputs))
    by_name = {node.name: node for node in program.graph.nodes}
    names = [
        spec.arg.name for spec in program.graph_signature.output_specs if spec.kind is OutputKind.USER_OUTPUT
    ]
    captured = RelevanceGraph(
        graph=program.graph,
        constants=constants,
        inputs=[by_name[name] for name in inputs],
        outputs=[by_name[name] for name in names if name in by_name],
        enclosing=enclosing,
        standard=standard,
    )
    simplify(captured)
    return captured
