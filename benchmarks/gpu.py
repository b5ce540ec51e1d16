"""Everything that a machine with a GPU can say of hudd: built, tested, watched, measured.

    python benchmarks/gpu.py              # `make gpu`; resumes where it was interrupted
    python benchmarks/gpu.py --again      # from the beginning
    python benchmarks/gpu.py --list       # what it would run

It needs torch 2.8 or newer made for CUDA, nvcc, CMake, pybind11, numba and h5py, and no network: hudd is built without
isolation, in place. Each stage has at most ten minutes. What is done is kept in build/gpu, under the device, the
versions and the sources; benchmarks/results/gpu-<device>.json has the record.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "gpu"
RESULTS = ROOT / "benchmarks" / "results"
LIMIT = 600  # seconds a stage
OLDEST_TORCH = (2, 8)
MODULES = ("torch", "pybind11", "numba", "h5py", "pytest", "hypothesis")
TOOLS = ("nvcc", "cmake")
_KERNELS = ["tests/core", "-m", "cuda", "-q"]
_CHECK_BUILT = (
    "import torch; from hudd import _core; info = _core.build_info(); "
    "assert info['cuda'], 'the core was built without CUDA'; print(info)"
)


@dataclass(frozen=True)
class Stage:
    """A command; without the program or module `needs` the stage is left out, and that is recorded."""

    name: str
    command: tuple[str, ...]
    needs: str | None = None


def _out(name: str) -> str:
    return str(KEPT / f"{name}.json")


def _relevance(model: str, batch: int, *layout: str) -> tuple[str, ...]:
    command = [sys.executable, "benchmarks/lrp.py", "--device", "cuda", "--case", f"{model}:{batch}", *layout]
    return (
        *command,
        "--out",
        _out("-".join(["lrp", model, str(batch), *(name.strip("-") for name in layout)])),
    )


def stages() -> list[Stage]:
    """What is run, in order."""
    python = sys.executable
    build = [python, "setup.py", "build_ext", "--inplace"]
    watched = [
        Stage(
            tool,
            ("compute-sanitizer", "--tool", tool, "--error-exitcode", "1", python, "-m", "pytest", *_KERNELS),
            needs="compute-sanitizer",
        )
        for tool in ("memcheck", "racecheck", "initcheck")
    ]
    return [
        Stage("built", tuple(build)),
        Stage("built with CUDA", (python, "-c", _CHECK_BUILT)),
        Stage("tests", (python, "-m", "pytest", "tests", "-m", "cuda", "-q")),
        *watched,
        Stage(
            "benchmark kernels",
            (python, "benchmarks/kernels.py", "--device", "cuda", "--out", _out("kernels")),
        ),
        *(
            Stage(
                f"benchmark {model}:{batch} {' '.join(layout)}".rstrip(),
                _relevance(model, batch, *layout),
                needs="torchvision",
            )
            for model in ("vgg16", "resnet50")
            for batch in (64, 256)
            for layout in ((), ("--channels-last",))
        ),
    ]


def missing() -> str | None:
    """A sentence on what this machine lacks, None where it lacks nothing."""
    lacking = [name for name in MODULES if importlib.util.find_spec(name) is None]
    lacking += [name for name in TOOLS if shutil.which(name) is None]
    if lacking:
        return f"this machine lacks {', '.join(lacking)}; install what is missing and run 'make gpu' again."
    import torch

    if tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < OLDEST_TORCH:
        return f"torch is {torch.__version__}, but must be 2.8 or newer; install a newer one made for CUDA."
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is made for the CPU; install one made for CUDA."
    if not torch.cuda.is_available():
        return "torch finds no CUDA device (nvidia-smi says whether the driver does); run this on a machine with a GPU."
    return None


def machine() -> dict[str, str]:
    """The device and the versions that the record is about."""
    import torch

    smi = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = (
        subprocess.run(smi, capture_output=True, text=True).stdout.split("\n")[0]
        if shutil.which(smi[0])
        else ""
    )
    release = subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout
    return {
        "device": torch.cuda.get_device_name(0),
        "driver": driver or "unknown",
        "torch": torch.__version__,
        "torch CUDA": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
        "nvcc": (re.findall(r"release ([\d.]+)", release) or ["unknown"])[0],
        "python": sys.version.split()[0],
        "sources": sources(),
    }


def sources() -> str:
    """A hash of what is built, tested and run: a stage that was done for other sources is run again."""
    content = hashlib.sha256()
    for folder in ("csrc", "hudd", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".h", ".cpp", ".cu", ".cuh"):
                content.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return content.hexdigest()[:16]


def _is_there(name: str) -> bool:
    return shutil.which(name) is not None or importlib.util.find_spec(name.replace("-", "_")) is not None


Run = Callable[[Sequence[str]], tuple[int, str]]


def run_command(command: Sequence[str]) -> tuple[int, str]:
    """Exit code, 124 where the time is over, and the last of what was printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=LIMIT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        printed = (
            late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        )
        return 124, printed[-4000:]
    return done.returncode, done.stdout[-4000:]


def perform(
    planned: Sequence[Stage],
    record: dict[str, Any],
    save: Callable[[dict[str, Any]], None],
    run: Run = run_command,
) -> bool:
    """Run the stages that have not passed yet, and save after each; whether all passed or were left out.

    After a failed build nothing else is run: it would be about another build.
    """
    outcomes: dict[str, Any] = record.setdefault("stages", {})
    for stage in planned:
        if outcomes.get(stage.name, {}).get("outcome") == "passed":
            continue
        if stage.needs and not _is_there(stage.needs):
            outcomes[stage.name] = {"outcome": "left out", "why": f"{stage.needs} is not installed"}
            save(record)
            continue
        started = time.monotonic()
        code, printed = run(stage.command)
        outcome = "passed" if code == 0 else "out of time" if code == 124 else "failed"
        outcomes[stage.name] = {
            "outcome": outcome, "seconds": round(time.monotonic() - started, 1), "printed": printed,
        }  # fmt: skip
        save(record)
        if outcome != "passed" and stage.name.startswith("built"):
            break
    return all(outcomes.get(stage.name, {}).get("outcome") in ("passed", "left out") for stage in planned)


def as_table(record: Mapping[str, Any]) -> str:
    """The outcome of every stage, a line each."""
    lines = [
        f"{name:24} {found['outcome']:12} {found.get('seconds', ''):>8}"
        for name, found in record["stages"].items()
    ]
    return "\n".join(lines)


def main() -> int:
    """Run what is left to run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="forget what was done")
    parser.add_argument("--list", action="store_true", help="only say what would be run")
    arguments = parser.parse_args()
    planned = stages()
    if arguments.list:
        print(*(f"{stage.name:24} {' '.join(stage.command)}" for stage in planned), sep="\n")
        return 0
    if sentence := missing():
        print(sentence)
        return 2
    about = machine()
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"{key}.json"
    record = {"machine": about, "date": datetime.date.today().isoformat()}
    if kept.exists() and not arguments.again:
        record = json.loads(kept.read_text())
    device = re.sub(r"[^a-z0-9]+", "-", about["device"].lower()).strip("-")

    def save(state: dict[str, Any]) -> None:
        for path in (kept, RESULTS / f"gpu-{device}.json"):
            path.with_suffix(".part").write_text(json.dumps(state, indent=1) + "\n")
            path.with_suffix(".part").replace(path)

    passed = perform(planned, record, save)
    print(as_table(record))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
