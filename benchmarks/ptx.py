"""What the compiler made of the CUDA kernels: registers, spills, access by 16 bytes, integer divisions.

    python benchmarks/ptx.py                # prints the table; needs nvcc, no GPU
    python benchmarks/ptx.py --out FILE     # and writes it as JSON, such as benchmarks/results/ptx.json

One architecture is compiled, sm_90. Counted is what stands in the PTX, so a loop's body once however often it runs.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CUDA = ROOT / "csrc" / "cuda"
ARCHITECTURE = "90"

_ENTRY = re.compile(r"\.entry\s+(\w+)")
_COUNTED = {
    "wide loads": re.compile(r"\bld\.global(?:\.nc)?\.v(?:4\.\w?32|2\.\w?64)\b"),
    "wide stores": re.compile(r"\bst\.global(?:\.wb)?\.v(?:4\.\w?32|2\.\w?64)\b"),
    "divisions": re.compile(r"\b(?:div|rem)\.[su](?:16|32|64)\b"),
}
_RESOURCES = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
    re.DOTALL,
)


def _kernel_name(mangled: str, demangled: str) -> str:
    """``quotient_kernel<true, false, true>`` of what the compiler calls it."""
    found = re.search(r"(\w+_kernel)(<.*>)?\(", demangled)
    if found is None:
        raise ValueError(f"no kernel's name in {demangled!r} ({mangled})")
    arguments = re.sub(r"hudd::cuda::|\(anonymous namespace\)::|<unnamed>::|\([a-z ]+\)", "", found[2] or "")
    return found[1] + arguments


def _demangled(names: list[str]) -> list[str]:
    tool = shutil.which("cu++filt") or shutil.which("c++filt")
    if tool is None:
        raise FileNotFoundError("neither cu++filt nor c++filt is on PATH")
    done = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def measured(source: Path, nvcc: str, folder: Path) -> dict[str, dict[str, int]]:
    """The kernels of one file by name, each with its counts."""
    ptx = folder / f"{source.stem}.ptx"
    common = [
        nvcc, "-std=c++17", "-O3", "--fmad=false", f"-I{ROOT / 'csrc' / 'include'}",
        f"-arch=compute_{ARCHITECTURE}", "-ptx", "-o", str(ptx), str(source),
    ]  # fmt: skip
    subprocess.run(common, check=True, capture_output=True, text=True)
    ptxas = shutil.which("ptxas") or str(Path(nvcc).resolve().with_name("ptxas"))
    done = subprocess.run(
        [ptxas, "-v", f"-arch=sm_{ARCHITECTURE}", "-o", str(folder / "cubin"), str(ptx)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    parts = _ENTRY.split(ptx.read_text())[1:]
    counts = {
        name: {key: len(pattern.findall(body)) for key, pattern in _COUNTED.items()}
        for name, body in zip(parts[::2], parts[1::2])
    }
    for name, stores, loads, registers in _RESOURCES.findall(done.stdout + done.stderr):
        counts[name] = {
            "registers": int(registers),
            "spilled bytes": int(stores) + int(loads),
            **counts[name],
        }
    names = list(counts)
    return {_kernel_name(name, plain): counts[name] for name, plain in zip(names, _demangled(names))}


def table() -> dict[str, Any]:
    """The table: the compiler's release, the architecture, and every kernel's counts.

    Raises
    ------
    FileNotFoundError
        If there is no nvcc.
    """
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        raise FileNotFoundError("nvcc is not on PATH")
    release = re.search(
        r"release ([\d.]+)", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    )
    kernels: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(CUDA.glob("*.cu")):
            kernels.update(measured(source, nvcc, Path(folder)))
    return {
        "nvcc": release[1] if release else "unknown",
        "architecture": f"sm_{ARCHITECTURE}",
        "kernels": dict(sorted(kernels.items())),
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    try:
        found = table()
    except FileNotFoundError as error:
        print(f"{error}; install the CUDA toolkit and try again.")
        return 2
    columns = ["registers", "spilled bytes", *_COUNTED]
    print(f"{'kernel':58}", *columns)
    for name, counts in found["kernels"].items():
        print(f"{name:58}", *(f"{counts[column]:{len(column)}}" for column in columns))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
