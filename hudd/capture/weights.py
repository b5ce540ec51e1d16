"""Weights files read as data: every tensor in them, with where it lies, and no code of theirs run."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hudd.errors import UsageError

INDEX = ".index.json"  # what a file ends in that says which tensor is in which of its neighbours
_DEEPEST = 6  # levels of dictionaries
_SAVE = "save the state dict alone, with torch.save(model.state_dict(), 'weights.pth')"
_NO_CODE = ("argparse.Namespace", "functools.partial", "types.SimpleNamespace")
_NO_CODE_MODULES = ("collections", "datetime", "decimal", "enum", "fractions", "pathlib", "uuid")


@dataclass(frozen=True, eq=False)
class Entry:
    """A tensor of a weights file.

    Attributes
    ----------
    place : tuple of str
        Keys of the dictionaries that it lies in, outermost first; empty for a file that is a state dict.
    name : str
        Its own key, such as ``features.0.weight``.
    value : torch.Tensor
        On the CPU.
    """

    place: tuple[str, ...]
    name: str
    value: torch.Tensor


def read_entries(path: Path, *, trust_pickle: bool = False) -> list[Entry]:
    """Read every tensor of a weights file, by default without running any code that may be in it.

    Parameters
    ----------
    path : Path
        ``.safetensors``; anything that ``torch.save`` wrote; the ``.index.json`` of weights in several files, or the
        folder that has it.
    trust_pickle : bool
        Unpickle what else the file holds, also whole modules. That can run code of whoever made it. By
        default objects of classes that are no tensors are passed over unseen.

    Raises
    ------
    UsageError
        If the file is damaged, holds no tensors by name, or would have to be trusted.
    """
    entries: list[Entry] = []
    for file in files_of(path):
        entries += _flattened(_content(file, trust_pickle), trust_pickle)
    if not entries:
        raise UsageError(f"weights '{path}' hold no tensors by name, so no state dict; {_SAVE}.")
    return entries


def files_of(path: Path) -> list[Path]:
    """Return the files that hold the weights named by `path`: itself, or those that its index names.

    Raises
    ------
    UsageError
        If there is no such file, or the index is damaged or names files elsewhere.
    """
    if path.is_dir():
        path = _index_in(path)
    if not path.is_file():
        raise UsageError(f"there is no weights file '{path}'; correct the path.")
    if not path.name.endswith(INDEX):
        return [path]
    try:
        names = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"weights '{path}' cannot be read as an index ({line_of(error)}); it must be JSON with 'weight_map', the "
            "file of each tensor."
        ) from error
    for name in names:
        if Path(str(name)).name != name:
            raise UsageError(
                f"index '{path}' names '{name}', which is no file next to it; put all in one folder."
            )
        if not (path.parent / name).is_file():
            raise UsageError(f"index '{path}' names '{name}', which is not next to it; put it there.")
    return [path.parent / name for name in names]


def _index_in(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{INDEX}"))
    if len(found) != 1:
        there = f"holds {len(found)} of them" if found else "holds none"
        raise UsageError(
            f"'{folder}' is a folder; name a weights file, or a folder with one *{INDEX} (it {there})."
        )
    return found[0]


def _content(path: Path, trust_pickle: bool) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UsageError(
                f"weights '{path}' cannot be read as safetensors ({line_of(error)}); write them with "
                "safetensors.torch.save_file."
            ) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        content = _without_objects(path)
        if isinstance(content, Mapping):
            return content
        raise UsageError(
            f"weights '{path}' hold more than tensors (or are damaged), and unpickling them can run code of "
            f"whoever made the file; {_SAVE}, or give `trust_pickle=True` if you trust whoever made it."
        ) from error
    except Exception as error:  # torch.load has no error of its own: RuntimeError, EOFError, KeyError, ...
        raise UsageError(f"weights '{path}' cannot be read ({line_of(error)}); {_SAVE}.") from error


def _without_objects(path: Path) -> Any:
    """What the file holds, with lifeless objects in place of those of classes that torch does not know as data.

    None where it asks for something of Python's own that does more than hold values.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if any(_acts(name) for name in names):
            return None
        stubs: list[Any] = [(type("Lifeless", (_Lifeless,), {}), name) for name in names]
        with torch.serialization.safe_globals(stubs):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # the file is not to be read like this; the first error is the one to tell
        return None


def _acts(name: str) -> bool:
    """Whether a global of Python's own library may do something when it is called."""
    module, own = name.partition(".")[0], name.rpartition(".")[0]
    if module == "builtins":
        found = getattr(sys.modules["builtins"], name.partition(".")[2], None)
        return not isinstance(found, type)
    return module in sys.stdlib_module_names and name not in _NO_CODE and own not in _NO_CODE_MODULES


class _Lifeless:
    """Takes whatever unpickling does to an object, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Lifeless:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, *_: Any) -> None: ...

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...

    def update(self, _: Any) -> None: ...


def _flattened(content: Any, trusted: bool, place: tuple[str, ...] = ()) -> Iterator[Entry]:
    if trusted and isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or len(place) > _DEEPEST:
        return
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            yield Entry(place, name, value)
        elif isinstance(name, str):
            yield from _flattened(value, trusted, (*place, name))


def line_of(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
