"""Checkpoints and weights that survive a kill: written aside, synced, renamed; refused by another training."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from hudd.errors import HuddError, UsageError
from hudd.store import open_inside
from hudd.store.files import sync_directory, write_error, write_whole


def fingerprint(*parts: Any) -> str:
    """SHA-256 of JSON-able values and tensors: what a training depends on, apart from the pixels."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write the state so that at any moment `path` holds either the last whole one or this one.

    Raises
    ------
    HuddError
        If the disk is full or does not let itself be written; the last one then still stands.
    """
    aside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(open_inside(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            torch.save({"identity": identity, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_directory(path.parent)
    except (OSError, RuntimeError) as error:
        reason = (
            error if isinstance(error, OSError) else error.__context__
        )  # torch's, once the file has failed
        if not isinstance(reason, OSError):
            raise
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise write_error(path, reason) from error


def load_checkpoint(path: Path, identity: str) -> dict[str, Any] | None:
    """Read a checkpoint of the same training, or None if there is no file.

    Raises
    ------
    UsageError
        If it was written by a training with other choices, seed, weights or labels.
    HuddError
        If the file is no checkpoint.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["identity"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise HuddError(f"{path} is not a training checkpoint; delete it to train from the start.") from error
    if found != identity:
        raise UsageError(
            f"{path} was written by a training with another model, seed, labels or configuration; "
            "delete it or name another file."
        )
    return state


def save_weights(model: nn.Module, path: str | Path) -> Path:
    """Write the model's state dict as .safetensors, aside and renamed; shared tensors are written out each.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    UsageError
        If the name does not end in ``.safetensors``.
    HuddError
        If the disk is full or does not let itself be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UsageError(
            f"weights are written as .safetensors, not as '{path.name}'; change the file's ending."
        )
    tensors = {
        name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path.parent, error) from error
    write_whole(path, save(tensors, metadata={"format": "pt"}))
    return path
