"""A model from its spec, with its weights."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hudd.errors import UsageError
from hudd.specs import call_factory


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to be examined, and what its factory says about it.

    Attributes
    ----------
    module : torch.nn.Module
        In evaluation mode, on the CPU.
    spec : str
        The spec it came from.
    transform : callable or None
        Attribute ``transform`` of the factory or of the module.
    class_names : list of str or None
        Attribute ``class_names`` of the factory or of the module.
    weights_sha256 : str
        Hash of the weights file; of the program file for ``.pt2``; "" where there is neither.
    """

    module: nn.Module
    spec: str
    transform: Callable[..., torch.Tensor] | None = None
    class_names: list[str] | None = None
    weights_sha256: str = ""


def load_model(spec: str, weights: str | Path | None = None, *, trust_pickle: bool = False) -> LoadedModel:
    """Build the network that `spec` names and load its weights.

    Parameters
    ----------
    spec : str
        ``package.module:factory`` or ``path/file.py:factory``, a callable without arguments that returns a module and
        may carry the attributes ``transform``, ``class_names`` and ``strip_prefix``; or ``program.pt2``, saved with
        ``torch.export.save``.
    weights : str or Path, optional
        ``.safetensors``, or ``.pt`` / ``.pth`` with a state dict or ``{"state_dict": ...}``. The factory's
        ``strip_prefix`` is taken off the names; without one, a prefix that all names share ("module.") is taken off
        if the names then fit.
    trust_pickle : bool
        Unpickle what the files hold beside tensors. That can run code of whoever made them.

    Raises
    ------
    UsageError
        If the model or the weights cannot be found, read or fitted together.
    """
    path = Path(weights) if weights is not None else None
    if path is not None and not path.is_file():
        raise UsageError(f"there is no weights file '{path}'; correct the path.")
    if spec.endswith(".pt2"):
        if path is not None:
            raise UsageError(f"'{spec}' is a program that carries its weights; leave '{path}' out.")
        return LoadedModel(_program(Path(spec), trust_pickle), spec, weights_sha256=_sha256(Path(spec)))
    if ":" not in spec:
        raise UsageError(
            f"'{spec}' is no model; give package.module:factory, path/file.py:factory or a program saved by "
            "torch.export.save (.pt2)."
        )
    factory, module = call_factory(spec)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"'{spec}' made an object of type {type(module).__name__}; it must return a torch.nn.Module."
        )
    if path is not None:
        _fit(
            module,
            read_weights(path, trust_pickle=trust_pickle),
            path,
            spec,
            getattr(factory, "strip_prefix", None),
        )
    transform = getattr(factory, "transform", None) or getattr(module, "transform", None)
    names = getattr(factory, "class_names", None) or getattr(module, "class_names", None)
    return LoadedModel(
        module.cpu().eval(),
        spec,
        transform if callable(transform) else None,
        [str(name) for name in names] if names is not None else None,
        "" if path is None else _sha256(path),
    )


def read_weights(path: Path, *, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Read a weights file, by default without running any code that may be in it.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or anything that ``torch.save`` wrote.
    trust_pickle : bool
        Unpickle what the file holds beside tensors, also a whole module. That can run code of whoever made it.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU.

    Raises
    ------
    UsageError
        If the file is damaged, holds anything but tensors by name, or would have to be trusted.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UsageError(
                f"weights '{path}' cannot be read as safetensors ({_line(error)}); write them with "
                "safetensors.torch.save_file."
            ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"weights '{path}' hold more than tensors (or are damaged), and unpickling them can run code of "
            f"whoever made the file; {_SAVE}, or give --trust-pickle if you trust whoever made it."
        ) from error
    except Exception as error:  # torch.load has no error of its own: RuntimeError, EOFError, KeyError, ...
        raise UsageError(f"weights '{path}' cannot be read ({_line(error)}); {_SAVE}.") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    if trust_pickle and isinstance(state, nn.Module):
        state = state.state_dict()
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"weights '{path}' hold a {type(state).__name__} that is no state dict; {_SAVE}.")
    return {str(name): value for name, value in state.items()}


_SAVE = "save the state dict alone, with torch.save(model.state_dict(), 'weights.pth')"


def _fit(
    module: nn.Module, state: dict[str, torch.Tensor], path: Path, spec: str, prefix: str | None
) -> None:
    """Load `state` into `module`, names and shapes equal, or say what does not fit."""
    wanted = module.state_dict()
    if prefix is None and set(state) != set(wanted):
        prefix = _shared_prefix(state, wanted)
    if prefix:
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in wanted]
    mismatched = [
        f"{name} ({_shape(state[name])}, wanted {_shape(value)})"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    if missing or unexpected or mismatched:
        parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
        listed = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts if names)
        raise UsageError(
            f"weights '{path}' do not fit '{spec}': {listed}. Give the weights of this very network."
        )
    module.load_state_dict(state, strict=False)  # strict but for batch counters, which old files lack


def _shared_prefix(state: Iterable[str], wanted: Iterable[str]) -> str:
    """Return the dotted prefix without which the names of `state` are those wanted; "" if there is none."""
    names, wanted = list(state), set(wanted)
    parts = names[0].split(".") if names else []
    for depth in range(1, len(parts)):
        prefix = ".".join(parts[:depth]) + "."
        if (
            all(name.startswith(prefix) for name in names)
            and {name.removeprefix(prefix) for name in names} <= wanted
        ):
            return prefix
    return ""


def _program(path: Path, trust_pickle: bool) -> nn.Module:
    if not path.is_file():
        raise UsageError(
            f"there is no program '{path}'; save one with torch.export.save(program, '{path.name}')."
        )
    try:
        with warnings.catch_warnings(), _silent(), nullcontext() if trust_pickle else _tensors_only():
            warnings.simplefilter("ignore")  # torch's remarks on its own file format
            module = torch.export.load(path).module()
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"'{path}' holds more than tensors (or is damaged), and unpickling it can run code of whoever made the "
            "file; give --trust-pickle if you trust whoever made it."
        ) from error
    except Exception as error:
        raise UsageError(
            f"'{path}' cannot be read as an exported program ({_line(error)}); save it with torch.export.save."
        ) from error
    return module


@contextmanager
def _silent() -> Iterator[None]:
    """Keep torch from logging the traceback of what the error says in a sentence."""
    logger = logging.getLogger("torch.export")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let torch unpickle nothing but tensors while the body runs, whatever its callers ask for."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "scalar"


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
