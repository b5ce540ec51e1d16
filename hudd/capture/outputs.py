"""Which of a model's outputs is its classes' scores, where it returns more than one tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from hudd.errors import UsageError

_DEEPEST = 3  # levels of containers in containers


def choose_output(module: nn.Module, name: str | None) -> None:
    """Have a model return one tensor whenever it is called, its names and weights staying as they are.

    Parameters
    ----------
    module : torch.nn.Module
        It may return a tensor, or a tuple, list, dictionary, dataclass or what Hugging Face calls a ModelOutput.
    name : str or None
        Key, field or number of the tensor, ``encoder.logits`` or ``0.1`` of one within another; None for a model that
        returns one tensor in all. A wrong one raises :class:`UsageError` when the model is called, with the names.
    """
    module.register_forward_hook(_Choice(name))


class _Choice:
    def __init__(self, name: str | None) -> None:
        self.name = name

    def __call__(self, module: nn.Module, _: Any, output: Any) -> Tensor:
        if isinstance(output, Tensor):
            if self.name is None:
                return output
            raise UsageError(
                f"output is '{self.name}', but the model returns a tensor of shape {_shape(output)}; leave it out."
            )
        found = dict(_tensors(output))
        name = self.name
        if name is None and len(found) == 1:
            (only,) = found.values()
            return only
        if (
            isinstance(output, (tuple, list))
            and name is not None
            and name.startswith("-")
            and name[1:].isdigit()
        ):
            name = str(len(output) + int(name))
        if name is not None and name not in found and hasattr(output, "_fields") and name.isdigit():
            name = next(iter(output._fields[int(name) : int(name) + 1]), name)
        if name in found:
            return found[name]
        kind = type(output).__name__
        if not found:
            raise UsageError(
                f"the model returns a {kind} without tensors; a classifier returns (1, classes)."
            )
        listed = ", ".join(f"{own} {_shape(value)}" for own, value in found.items())
        what = "" if name is None else f" and output '{name}' is none of them"
        first = next(iter([own for own, value in found.items() if value.ndim == 2] or found))
        raise UsageError(
            f"the model returns a {kind} with {listed}{what}; choose the scores of the classes, such as "
            f"`output='{first}'`."
        )


def _tensors(output: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    """Every tensor by its dotted name; a namedtuple and a dataclass go by their fields."""
    if isinstance(output, Tensor):
        yield ".".join(path), output
        return
    parts: dict[Any, Any] = {}
    if isinstance(output, Mapping):
        parts = dict(output)
    elif dataclasses.is_dataclass(output):
        parts = {field.name: getattr(output, field.name, None) for field in dataclasses.fields(output)}
    elif isinstance(output, (tuple, list)):
        parts = dict(zip(getattr(output, "_fields", range(len(output))), output))
    for name, value in parts.items() if len(path) < _DEEPEST else ():
        yield from _tensors(value, (*path, str(name)))


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"
