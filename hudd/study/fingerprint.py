"""Fingerprints: what a result depends on, in one line, so that only what changed is computed again."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np
import torch

from hudd.arithmetic import contracting
from hudd.data import ImageSource
from hudd.errors import UsageError

_PROBED = 3  # images, for one may be black
_BINS = 64
_SAME = 1e-3  # of a row's norm: far above what another machine rounds, far below what is noticed


def digest(*parts: Any) -> str:
    """Return the SHA-256, hexadecimal, of `parts`: anything that JSON can hold, and arrays."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).tobytes())
        else:
            sha.update(json.dumps(part, sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()


def stable_repr(thing: Any) -> str:
    """Return ``repr(thing)`` without addresses, the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing))


def digest_model(module: torch.nn.Module, output: str | None = None) -> str:
    """Return the SHA-256, hexadecimal, of a model: its modules as printed, its weights, the output chosen."""
    sha = hashlib.sha256(stable_repr(module).encode())
    sha.update(b"" if output is None else f"output {output}".encode())
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def digest_picture(source: ImageSource, row: int) -> str:
    """Return the SHA-256, hexadecimal, of an image as a person sees it, whatever it is called and fed in as."""
    return digest(source.picture(row))


def probe(
    source: ImageSource, module: torch.nn.Module, device: torch.device, known: np.ndarray | None
) -> np.ndarray:
    """Return what transform and DNN make of some images of a split, in brief.

    Code has no fingerprint that tells all: the source of a function says nothing of the constants and functions that
    it uses. So what the code does is compared, with what the file says it did when the split was tested. Within
    rounding, which differs between machines, the file's own numbers are returned, so that nothing gets stale by it.

    Parameters
    ----------
    source : ImageSource
        The images.
    module : torch.nn.Module
        The DNN.
    device : torch.device
        Where it runs.
    known : np.ndarray or None
        What the file says.

    Returns
    -------
    np.ndarray
        (2 n, 128) float64, a row for what goes into the DNN and one for what comes out, for each of n images.

    Raises
    ------
    UsageError
        If the transform makes something else of the same image each time.
    """
    found = []
    for row in np.unique(np.linspace(0, len(source) - 1, _PROBED).astype(np.int64)).tolist():
        image = source.load([row])
        if not _same(_sketch(image), _sketch(source.load([row]))):
            raise UsageError(
                f"the transform makes something else of '{source.paths[row]}' each time; give one without chance, "
                "such as that of the DNN's own test."
            )
        with torch.inference_mode(), contracting("float32"):  # TF32 would round more than a CPU does
            found += [_sketch(image), _sketch(module(image.to(device)))]
    now = np.stack(found)
    return known if isinstance(known, np.ndarray) and known.dtype == now.dtype and _same(known, now) else now


def _sketch(values: torch.Tensor) -> np.ndarray:
    """Sum and norm of 64 stretches of an array, (128,): numbers that another array hardly has."""
    flat = values.detach().cpu().double().reshape(-1).numpy()
    place = np.arange(len(flat)) * _BINS // max(len(flat), 1)
    count = np.maximum(np.bincount(place, minlength=_BINS), 1)
    sums, squares = (np.bincount(place, power, _BINS) for power in (flat, flat**2))
    sketch: np.ndarray = np.nan_to_num(np.concatenate([sums / np.sqrt(count), np.sqrt(squares)]))
    return sketch


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    return bool((np.linalg.norm(a - b, axis=-1) <= _SAME * np.linalg.norm(b, axis=-1)).all())
