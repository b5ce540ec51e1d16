"""How long commands take before they do anything: ``hudd --help`` and ``hudd show`` against ``import torch``.

python benchmarks/startup.py             # makes the digits demo, and shows it
python benchmarks/startup.py --study S   # shows a study that is there
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness

HUDD = (sys.executable, "-m", "hudd")


def starts(study: Path) -> dict[str, Callable[[], object]]:
    """What is timed, each in a process of its own."""
    commands = {
        "import torch": (sys.executable, "-c", "import torch"),
        "hudd show --json": (*HUDD, "show", str(study), "--json"),
        "hudd --help": (*HUDD, "--help"),
        "hudd run --help": (*HUDD, "run", "--help"),
    }

    def runner(command: tuple[str, ...]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return {name: runner(command) for name, command in commands.items()}


def main() -> None:
    """Time all of them in turns and write the record."""
    options = harness.parser(__doc__.partition("\n")[0], "startup")
    options.add_argument("--study", type=Path, help="a study to show; by default one is made")
    given = harness.parse(options, repeats=3)
    machine = harness.machine()
    with tempfile.TemporaryDirectory() as folder:
        study = given.study or Path(folder) / "demo"
        if given.study is None:
            made = [*HUDD, "demo", "--case", "digits", "--out", str(study)]
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        seconds = harness.best_times(starts(study), given.repeats)
    shares = {name: took / seconds["import torch"] for name, took in seconds.items()}
    columns = ("seconds", "of import torch")
    harness.table("Start-up", columns, {name: (seconds[name], shares[name]) for name in seconds})
    record = {
        "machine": machine,
        "versions": harness.versions("hudd", "torch", "numpy", "h5py", "pandas", "typer"),
        "repeats": given.repeats,
        "seconds": seconds,
        "share_of_import_torch": shares,
    }
    harness.write(given.out, record)


if __name__ == "__main__":
    main()
