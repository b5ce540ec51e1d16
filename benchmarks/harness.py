"""What every benchmark shares: timing in turns, the machine in words, results as JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPU and load of this machine."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "gpu": gpu,
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(*packages: str) -> dict[str, str | None]:
    """Versions of Python and of some packages, None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def best_times(runners: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Best of `repeats` wall-clock times of each runner, in seconds.

    The runners take turns, so that a slow moment of the machine does not fall on one of them alone; one turn before the
    first is not counted.
    """
    best = dict.fromkeys(runners, float("inf"))
    for turn in range(repeats + 1):
        for name, run in runners.items():
            _synchronize()
            start = time.perf_counter()
            run()
            _synchronize()
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory_mib() -> float:
    """Peak resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--repeats", type=int, default=5, help="timed turns of each contender, the best counts")
    made.add_argument(
        "--out", type=Path, default=RESULTS / f"{name}.json", help="where the figures go, as JSON"
    )
    return made


def write(path: Path, record: dict[str, Any]) -> None:
    """Write one benchmark's record, with the date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **record}
    path.write_text(json.dumps(dated, indent=1) + "\n")
    print(f"written: {path}")
