"""Where a study's DNN runs."""

from __future__ import annotations

import torch

from hudd import _core
from hudd.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device that a setting names; each process under torchrun has a GPU of its own.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one and the compiled core has kernels for it.

    Raises
    ------
    UsageError
        If a GPU is asked for and there is none that can be used.
    """
    built = bool(_core.build_info().get("cuda"))
    if name == "cpu" or (name == "auto" and not (built and torch.cuda.is_available())):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch finds no GPU; choose cpu or auto.")
    if not built:
        raise UsageError(
            "device is 'cuda', but the compiled core has no CUDA kernels: put nvcc on PATH and run 'pip install .' "
            "again, or choose cpu."
        )
    return torch.device("cuda", torch.cuda.current_device())
