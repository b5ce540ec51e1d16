"""Where the kernels of one test run: on the CPU, as CUDA kernels compiled for the host, or on a GPU."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from hudd import _core
from hudd.lrp import kernels

BACKENDS = ("cpu", "cuda-on-host", "cuda")
_dlpack = torch.utils.dlpack.to_dlpack


class Kernels:
    """The functions of :mod:`hudd.lrp.kernels` on one backend; tensors come from the CPU and go back there.

    Parameters
    ----------
    name : str
        One of ``BACKENDS``.
    core : module
        The compiled core that has the backend's kernels.
    """

    def __init__(self, name: str, core: ModuleType) -> None:
        self.name, self.core = name, core

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(kernels, name)

        def call(*arguments: Any, **options: Any) -> Any:
            there = [self._there(argument) for argument in arguments]
            named = {key: self._there(value) for key, value in options.items()}
            with patch.object(kernels, "_core", self.core):
                return _back(function(*there, **named))

        return call

    def call(self, name: str, *arguments: object, **options: object) -> list[object]:
        """Call a function of the core itself; returns the arguments as it left them."""
        there = [self._there(argument) for argument in arguments]
        if self.name == "cuda":
            options["stream"] = torch.cuda.current_stream().cuda_stream
        capsules = [_dlpack(value) if isinstance(value, Tensor) else value for value in there]
        getattr(self.core, name)(*capsules, **options)
        return [_back(value) for value in there]

    def _there(self, value: Any) -> Any:
        """A tensor as it lies in memory, gaps and misplacement included, on the backend's device."""
        if self.name != "cuda" or not isinstance(value, Tensor):
            return value
        whole = value.new_empty(0).set_(value.untyped_storage())
        return whole.cuda().as_strided(value.shape, value.stride(), value.storage_offset())


def _back(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_back, value))
    return value.cpu() if isinstance(value, Tensor) else value


def kernels_on(name: str) -> Kernels:
    """The kernels of a backend; skips the test that asks for one that is not there."""
    if name == "cpu":
        return Kernels(name, _core)
    if name == "cuda":
        if _core.build_info()["cuda"] is None:
            pytest.skip("the core was built without CUDA")
        return Kernels(name, _core)
    host = runpy.run_path(str(Path(__file__).parent / "cuda_on_host" / "build.py"))
    core = host["load"](watched=host["watching"]())
    if core is None:
        pytest.skip("no C++ compiler to build the CUDA kernels for the host")
    return Kernels(name, core)
