"""A model from its spec, with its weights."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hudd.capture.checkpoints import find_weights
from hudd.capture.outputs import choose_output
from hudd.capture.untrained import watch_loading
from hudd.capture.weights import files_of, line_of, read_entries
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
    told : str
        What was chosen among the file's contents or converted, for the provenance; "" for weights that fit as they are.
    untrained : bool
        No weights were given, and the factory was not seen to load any.
    """

    module: nn.Module
    spec: str
    transform: Callable[..., torch.Tensor] | None = None
    class_names: list[str] | None = None
    weights_sha256: str = ""
    told: str = ""
    untrained: bool = False


def load_model(
    spec: str,
    weights: str | Path | None = None,
    *,
    trust_pickle: bool = False,
    weights_key: str | None = None,
    output: str | None = None,
) -> LoadedModel:
    """Build the network that `spec` names and load its weights.

    Parameters
    ----------
    spec : str
        ``package.module:factory`` or ``path/file.py:factory``, a callable without arguments that returns a module and
        may carry the attributes ``transform``, ``class_names`` and ``strip_prefix``; or ``program.pt2``, saved with
        ``torch.export.save``.
    weights : str or Path, optional
        ``.safetensors`` (also the ``.index.json`` of several), or what ``torch.save`` wrote: a state dict, or a
        checkpoint that has one in it. Names are compared without prefixes and without the attributes of wrapping
        modules, see :func:`hudd.capture.checkpoints.find_weights`; the factory's ``strip_prefix`` decides where it
        has one.
    trust_pickle : bool
        Unpickle what the files hold in addition to tensors. That can run code of whoever made them.
    weights_key : str, optional
        The entry of the checkpoint that has the weights, such as ``ema``, where several fit.
    output : str, optional
        Which of its tensors the model is taken to return, see :func:`hudd.capture.outputs.choose_output`.

    Raises
    ------
    UsageError
        If the model or the weights cannot be found, read or fitted together.
    """
    path = Path(weights) if weights is not None else None
    files = [] if path is None else files_of(path)
    if weights_key is not None and path is None:
        raise UsageError(
            f"weights_key is '{weights_key}', but there is no weights file; give `weights`, too."
        )
    if spec.endswith(".pt2"):
        if path is not None:
            raise UsageError(f"'{spec}' is a program that carries its weights; leave '{path}' out.")
        program = _program(Path(spec), trust_pickle)
        choose_output(program, output)
        return LoadedModel(program, spec, weights_sha256=_sha256(Path(spec)))
    if ":" not in spec:
        raise UsageError(
            f"'{spec}' is no model; give package.module:factory, path/file.py:factory or a program saved by "
            "torch.export.save (.pt2)."
        )
    with watch_loading() as watch:
        factory, module = call_factory(spec)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"'{spec}' made an object of type {type(module).__name__}; it must return a torch.nn.Module."
        )
    told = []
    if path is not None:
        prefix = getattr(factory, "strip_prefix", None)
        told.append(_load_weights(module, path, spec, trust_pickle, weights_key, prefix))
    told.append(_half_as_float(module))
    told.append("" if output is None else f"output '{output}'")
    choose_output(module, output)
    transform = getattr(factory, "transform", None) or getattr(module, "transform", None)
    names = getattr(factory, "class_names", None) or getattr(module, "class_names", None)
    return LoadedModel(
        module.cpu().eval(),
        spec,
        transform if callable(transform) else None,
        [str(name) for name in names] if names is not None else None,
        _sha256(*files) if files else "",
        "; ".join(filter(None, told)),
        path is None and watch.untrained,
    )


def _load_weights(
    module: nn.Module, path: Path, spec: str, trust_pickle: bool, key: str | None, prefix: str | None
) -> str:
    """Load the weights of a file into a model; return what there is to say about them."""
    entries = read_entries(path, trust_pickle=trust_pickle)
    where = f"'{path}' for '{spec}'"
    found = find_weights(entries, module.state_dict(), where=where, key=key, prefix=prefix)
    module.load_state_dict(found.state, strict=False)  # batch counters may be missing
    return found.told


def _half_as_float(module: nn.Module) -> str:
    """Convert weights of another precision to float32, in which relevance is computed; say from what."""
    kinds = {value.dtype for value in module.state_dict().values() if value.is_floating_point()}
    others = sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})
    if not others:
        return ""
    module.float()
    return f"converted from {' and '.join(others)} to float32"


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
            "file; give `trust_pickle=True` if you trust whoever made it."
        ) from error
    except Exception as error:
        raise UsageError(
            f"'{path}' cannot be read as an exported program ({line_of(error)}); save it with torch.export.save."
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


def _sha256(*paths: Path) -> str:
    """Hash of a file; of several, that of their hashes one after the other."""
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256"))
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(own.digest() for own in hashes))
    return whole.hexdigest()
