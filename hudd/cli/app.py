"""The commands, in the order in which they are used."""

from __future__ import annotations

from collections.abc import Callable

import typer

from hudd.cli.bench import bench
from hudd.cli.cluster import cluster
from hudd.cli.demo import demo
from hudd.cli.distances import distances
from hudd.cli.doctor import doctor
from hudd.cli.evaluate import evaluate
from hudd.cli.export import export
from hudd.cli.heatmaps import heatmaps
from hudd.cli.label import label
from hudd.cli.repair import repair
from hudd.cli.report import report
from hudd.cli.retrain import retrain
from hudd.cli.run import run
from hudd.cli.select import select
from hudd.cli.show import show
from hudd.cli.test import run_test

app = typer.Typer(
    help="Find the root causes of an image DNN's failures from clustered relevance heatmaps, and help to fix "
    "them.\n\n"
    "Start with 'hudd demo'. On your own DNN: 'hudd run STUDY --model SPEC --test DATA --train DATA --improvement "
    "DATA'. An interrupted run resumes where it stopped when the command is given again.",
    epilog="--debug with any command shows the traceback of an error. Exit codes: 0 done, 1 the work failed, "
    "2 the call was wrong.",
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from hudd.version import __version__

        print(f"hudd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None: ...


_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Everything at once": {"demo": demo, "run": run},
    "One step each": {
        "test": run_test,
        "heatmaps": heatmaps,
        "distances": distances,
        "cluster": cluster,
        "select": select,
        "label": label,
        "retrain": retrain,
        "evaluate": evaluate,
    },
    "Results and machine": {
        "report": report,
        "export": export,
        "show": show,
        "repair": repair,
        "bench": bench,
        "doctor": doctor,
    },
}
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)
