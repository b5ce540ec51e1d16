"""Options of the commands: those that several share, and those of settings, which say what their options are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hudd.parts import CASES, EXPORTERS
from hudd.progress import FORMS, show_as
from hudd.settings import Field, Panel
from hudd.settings.file import FIELDS as FIELDS


def completed(names: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    """Return the names that what was typed can become; of a list with commas, the last one is completed."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names() if name.startswith(last)]


def _completion(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return completed(names, incomplete)

    return complete


def _steps() -> Iterable[str]:
    from hudd.study import STEPS  # torch takes seconds, and the help needs none

    return STEPS


def _rules() -> Iterable[str]:
    from hudd.lrp import COMPOSITES, RULES

    return ["recommended", *COMPOSITES, *RULES]


StudyDir = Annotated[
    Path, typer.Argument(metavar="STUDY", help="Directory of the study.", show_default=False)
]
Given = dict[str, Any]
"""What a command gets of the options of settings: the values of those that were given, see :func:`takes`."""

Force = Annotated[
    str | None,
    typer.Option(
        metavar="STEP",
        help="Rerun this step and everything downstream, even if nothing has changed.",
        rich_help_panel=Panel.MACHINE,
        autocompletion=_completion(_steps),
    ),
]
Upgrade = Annotated[
    bool,
    typer.Option(
        "--upgrade",
        help="Compute again what an older version of hudd computed otherwise; without it, such results are kept.",
        rich_help_panel=Panel.MACHINE,
    ),
]
BreakLock = Annotated[
    bool,
    typer.Option(
        "--break-lock", help="Take over a lock that another machine left.", rich_help_panel=Panel.MACHINE
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A TOML file of settings, see 'hudd init'; options on the command line come before it.",
        rich_help_panel=Panel.FIRST,
        show_default=False,
    ),
]
JUnit = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write a JUnit file for pipelines: a test case for each step, or each criterion.",
        rich_help_panel=Panel.MACHINE,
        show_default=False,
    ),
]
Progress = Annotated[
    str | None,
    typer.Option(
        metavar="FORM",
        help="How far the work is, on standard error: auto (default), a bar on a terminal; plain, a line every 30 "
        "seconds, for logs; or json, an event a line, for programs.",
        rich_help_panel=Panel.MACHINE,
        show_default=False,
        autocompletion=_completion(lambda: FORMS),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Case = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="mnist, digits (seconds), eyes (gaze), eyes-open, landmarks, gaze-angles, one that a package registers, "
        "or package.module:CASE.",
        autocompletion=_completion(lambda: CASES),
    ),
]
Formats = Annotated[
    str,
    typer.Option(
        "--to",
        "--format",
        metavar="NAMES",
        help="Any of csv, images, virelay, fiftyone, parquet (Spotlight, pandas), coco, label-studio, tensors, "
        "model-card, openodd, tensorboard, mlflow, those that packages register, or package.module:EXPORTER.",
        autocompletion=_completion(lambda: EXPORTERS),
    ),
]

# -- local pages
Serve = Annotated[bool, typer.Option("--serve", help="Serve a local page instead, until Ctrl-C.")]
Host = Annotated[
    str, typer.Option(help="Address to serve on; any but this machine's own lets the network in.")
]
Port = Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)]
Language = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Language of the page, or a catalogue, FILE.mo; by default $HUDD_LANGUAGE, else en.",
        show_default=False,
    ),
]

# -- settings


def takes(*steps: str, also: Iterable[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of all settings that some steps read, and of some `also`.

    The command gets the values of those that were given as `given`; its other parameters are its own. Without
    steps, it gets the options of all settings.
    """
    chosen = [
        name for name, each in FIELDS.items() if not steps or set(steps) & set(each.steps) or name in also
    ]
    chosen.sort(key=lambda name: list(Panel).index(FIELDS[name].panel))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        study, *own = (
            each
            for each in inspect.signature(command, eval_str=True).parameters.values()
            if each.name != "given"
        )
        shown = inspect.Parameter(
            "progress", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Progress
        )
        parameters = [study, *(_parameter(FIELDS[name]) for name in chosen), *own, shown]
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]

        def called(**values: Any) -> None:
            given = {name: values.pop(name) for name in chosen}
            show_as(values.pop("progress"))
            command(given={name: value for name, value in given.items() if value is not None}, **values)

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return called

    return decorate


def _parameter(setting: Field) -> inspect.Parameter:
    """Return the parameter of a command that Typer makes a setting's option of; None where it is not given."""
    plain = next((kind for kind in (bool, int, float) if setting.kinds == (kind,)), str)
    option = typer.Option(
        setting.flags,
        help=setting.told(),
        metavar=setting.metavar or ("NAME" if plain is str else None),
        rich_help_panel=setting.panel,
        show_default=False,
        autocompletion=_completion(_rules if setting.name == "rules" else lambda: setting.names),
    )
    annotation = Annotated[plain | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
