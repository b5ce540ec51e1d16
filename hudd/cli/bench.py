"""``hudd bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SCRIPTS = {
    "lrp": "lrp.py",
    "memory": "memory.py",
    "distances": "distances.py",
    "cluster": "clustering.py",
    "pipeline": "pipeline.py",
    "causes": "causes",
    "heatmaps": "heatmaps",
    "scale": "scale.py",
}
_LONG = ("causes", "heatmaps", "scale")  # run only when asked for by name


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help=f"{', '.join(SCRIPTS)}; all but {', '.join(_LONG[:-1])} and {_LONG[-1]} by default.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The sizes of the published figures; minutes.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures there, as JSON.")
    ] = None,
) -> None:
    r"""Measure this machine: hudd and its peers, in the same run.

    Peers that are not installed are left out; pip install '.\[bench]' in hudd's source tree has them all.

    [bold]Examples[/]

      hudd bench

      hudd bench distances cluster --full --json figures.json
    """
    import tempfile
    from json import dumps, loads

    from hudd.cli.printing import console, in_line
    from hudd.errors import UsageError

    chosen = {name: _script(name) for name in names or [name for name in SCRIPTS if name not in _LONG]}
    if json is not None and json.exists():
        raise UsageError(f"'{json}' exists already; name another file.")
    if json is not None and not json.absolute().parent.is_dir():
        raise UsageError(f"there is no folder '{json.parent}' to write '{json.name}' to; make it.")
    records = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, script in chosen.items():
            console.print()
            console.rule(f"[bold]{name}", align="left")
            out = Path(folder, f"{name}.json")
            _run(name, script, out, full)
            records[name] = loads(out.read_text())
    if json is not None:
        json.write_text(dumps(records, indent=1) + "\n")
        console.print(f"figures: {in_line(json)}", soft_wrap=True)


def _folders() -> list[Path]:
    """Return where benchmarks lie: in the installed package, and next to it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    return [package / "benchmarks", package.parent / "benchmarks"]


def _script(name: str) -> Path:
    from hudd.errors import UsageError

    if name not in SCRIPTS:
        raise UsageError(f"benchmark '{name}' is unknown; choose among: {', '.join(SCRIPTS)}.")
    for folder in _folders():
        if (folder / SCRIPTS[name]).exists():
            return folder / SCRIPTS[name]
    raise UsageError(f"benchmark '{name}' is not part of this installation; reinstall hudd.")


def _run(name: str, script: Path, out: Path, full: bool) -> None:
    """Run one benchmark in a process of its own."""
    import subprocess
    import sys

    from hudd.errors import HuddError

    options = [] if full else ["--quick"]
    done = subprocess.run([sys.executable, str(script), *options, "--out", str(out)])
    if done.returncode:
        raise HuddError(f"benchmark '{name}' failed, as said above; its exit code was {done.returncode}.")
