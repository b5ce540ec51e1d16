"""What every benchmark shares: timing in turns, the machine in words, results as JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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


def memory(name: str) -> int:
    """One field of this process's memory status, such as VmRSS or VmHWM, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Start VmHWM, the peak of resident memory, again."""
    Path("/proc/self/clear_refs").write_text("5")


def child(script: str, *arguments: object, processes: int = 1) -> dict[str, Any]:
    """Run ``script --child ...`` in a process of its own, whose memory is its own; return the JSON it prints.

    Several processes are started by torchrun, and one of them has to print.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher = torchrun if processes > 1 else []
    command = [sys.executable, *launcher, script, "--child", *map(str, arguments)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def left_out(found: Mapping[str, str | None]) -> None:
    """Name the peers that are not installed."""
    missing = [package for package, installed in found.items() if installed is None]
    if missing:
        print(f"not installed, so left out: {', '.join(missing)}")


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | str]]) -> None:
    """Print a table: a name and its figures a row."""
    width = max(map(len, rows))
    cells = {
        name: [f"{x:,.3f}" if isinstance(x, float) else str(x) for x in row] for name, row in rows.items()
    }
    sides = [max(len(column), *(len(row[i]) for row in cells.values())) for i, column in enumerate(columns)]
    print(f"\n{title}")
    print("  " + " " * width, *(f"{column:>{side}}" for column, side in zip(columns, sides)), sep="  ")
    for name, row in cells.items():
        print(f"  {name:{width}}", *(f"{cell:>{side}}" for cell, side in zip(row, sides)), sep="  ")


def bars(path: Path, title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """Draw one row of horizontal bars a group, hudd's own darker, to an SVG file."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hudd"  # the same figures give the same file
    heights = [len(values) for values in groups.values()]
    figure, axes = plt.subplots(
        len(groups), figsize=(7, 0.9 + 0.34 * sum(heights) + 0.5 * len(groups)), layout="constrained",
        gridspec_kw={"height_ratios": heights}, squeeze=False,
    )  # fmt: skip
    figure.suptitle(title, fontsize=11)
    for ax, (name, values) in zip(axes[:, 0], groups.items()):
        colours = ["#1f5fa8" if label.startswith("hudd") else "#b9c3cf" for label in values]
        drawn = ax.barh(list(values), list(values.values()), color=colours)
        ax.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
        ax.set_title(name, fontsize=9, loc="left")
        ax.margins(x=0.12)
        ax.invert_yaxis()
        ax.tick_params(labelsize=8, left=False, labelbottom=False, bottom=False)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xlabel(unit, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="small sizes, a minute or so; rough figures")
    made.add_argument("--repeats", type=int, default=5, help="timed turns of each contender, the best counts")
    made.add_argument(
        "--out", type=Path, default=RESULTS / f"{name}.json", help="where the figures go, as JSON"
    )
    return made


def parse(options: argparse.ArgumentParser, **quick: Any) -> argparse.Namespace:
    """Parse the command line; with ``--quick`` the defaults are those given here."""
    if options.parse_known_args()[0].quick:
        options.set_defaults(**quick)
    return options.parse_args()


def write(path: Path, record: dict[str, Any]) -> None:
    """Write one benchmark's record, with the date."""
    dated = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **record}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dated, indent=1) + "\n")
