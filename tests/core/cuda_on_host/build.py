"""Builds the CUDA kernels as C++, and loads them as a core of their own that works on tensors of the CPU.

Every object is kept under a hash of all that it is made from, so that a second run builds nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
import importlib.util
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

import pybind11

HERE = Path(__file__).parent
CSRC = HERE.parents[2] / "csrc"
KEPT = HERE.parents[2] / "build" / "cuda-on-host"
SOURCES = [
    *(
        CSRC / name
        for name in ("bindings.cpp", "tensor_view.cpp", "cpu/blocks.cpp", "cpu/jpeg.cpp", "cpu/parallel.cpp")
    ),
    *sorted((CSRC / "ops").glob("*.cpp")),
    *sorted((CSRC / "cuda").glob("*.cu")),
    *sorted(HERE.glob("*.cpp")),
]
FLAGS = [
    "-std=c++17", "-fPIC", "-g1", "-ffp-contract=off", "-fvisibility=hidden",
    "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
    "-DHUDD_CUDA", '-DHUDD_CUDA_ARCHITECTURES=""',
    '-DHUDD_COMPILER="host"', '-DHUDD_CUDA_VERSION="on-host"', '-DHUDD_INSTRUCTION_SETS="cuda-on-host"',
]  # fmt: skip
WATCHED = [
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
]


def _compile(compiler: str, source: Path, *, watched: bool) -> Path:
    """Make one object, if there is none of the same content."""
    bindings = source.name == "bindings.cpp"  # no kernel's memory is touched there, and it takes longest
    flags = [*FLAGS, "-O0" if bindings else "-O1", *(WATCHED if watched and not bindings else [])]
    headers = [*CSRC.rglob("*.h"), *CSRC.rglob("*.cuh"), *HERE.glob("*.h")]
    paths = [CSRC / "include", CSRC / "cuda", HERE, pybind11.get_include(), sysconfig.get_path("include")]
    content = hashlib.sha256(
        repr((flags, compiler, sysconfig.get_python_version(), pybind11.__version__)).encode()
    )
    for path in (source, *sorted(headers)):
        content.update(path.read_bytes())
    kept = KEPT / f"{source.stem}-{content.hexdigest()[:16]}.o"
    if not kept.exists():
        _write(kept, [compiler, *flags, *(f"-I{path}" for path in paths), "-x", "c++", "-c", str(source)])
    return kept


def _write(kept: Path, command: list[str]) -> None:
    """Run a compiler; what it makes is there whole or not at all, whoever else builds the same."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        made = Path(folder) / kept.name
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the CUDA kernels do not compile for the host:\n{done.stderr}")
        made.replace(kept)


def load(*, watched: bool) -> ModuleType | None:
    """Return the core; None where there is no C++ compiler.

    Parameters
    ----------
    watched : bool
        Whether AddressSanitizer and UBSan watch; their runtime must have been loaded before Python.
    """
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        return None
    objects = [_compile(compiler, source, watched=watched) for source in SOURCES]
    name = hashlib.sha256("".join(path.name for path in objects).encode()).hexdigest()[:16]
    library = KEPT / f"core-{name}.so"
    if not library.exists():
        _write(library, [compiler, "-shared", *(WATCHED if watched else []), *map(str, objects)])
    loader = importlib.machinery.ExtensionFileLoader("cuda_on_host._core", str(library))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("cuda_on_host._core", loader))
    loader.exec_module(module)
    return module


def watching() -> bool:
    """Whether this process runs under AddressSanitizer."""
    return hasattr(ctypes.CDLL(None), "__asan_init")
