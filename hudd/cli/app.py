"""The parser of the commands: only those that a call needs are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import typer

from hudd.cli.commands import COMMANDS, PANELS


def make_app(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return a parser that knows these commands."""
    app = typer.Typer(
        help="Find the root causes of an image DNN's failures from clustered relevance heatmaps, and help to fix them.",
        add_completion=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    wanted = set(names)
    for panel, commands in PANELS.items():
        for name in commands:
            if name in wanted:
                function = "run_test" if name == "test" else name
                app.command(name, rich_help_panel=panel)(getattr(import_module(COMMANDS[name]), function))
    return app


def app_for(arguments: list[str]) -> typer.Typer:
    """Return a parser for a call: with the command that comes first, else with all, which messages may name."""
    return make_app(arguments[:1] if arguments[0] in COMMANDS else COMMANDS)


def _version(wanted: bool) -> None:
    if wanted:
        from hudd.version import __version__

        print(f"hudd {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None: ...


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return make_app()
