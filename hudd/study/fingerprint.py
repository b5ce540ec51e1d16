"""Fingerprints: what a result depends on, in one line, so that only what changed is computed again."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np
import torch


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


def digest_model(module: torch.nn.Module) -> str:
    """Return the SHA-256, hexadecimal, of a model: its modules as printed, its parameters and buffers."""
    sha = hashlib.sha256(stable_repr(module).encode())
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
