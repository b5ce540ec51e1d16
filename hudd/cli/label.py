"""``hudd label``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o


def label(
    study: o.StudyDir,
    export: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Write the selected images, to fill in.", show_default=False),
    ] = None,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="CSV", help="Read path,label from a file.", show_default=False),
    ] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Export only what has no label.")] = False,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Tell the labels of the selected images, where the improvement data do not bring them.

    A label is a class name or number. Without options: how many labels are missing.

    [bold]Examples[/]

      hudd label signs --export todo.csv --unlabelled

      hudd label signs --import done.csv
    """
    from hudd.cli.printing import console, print_json
    from hudd.study.labels import export_labels, import_labels

    opened = o.open_study(study, break_lock=break_lock)
    if import_ is not None:
        console.print(f"{import_labels(opened, import_):,} labels read from {import_}", soft_wrap=True)
    if export is not None:
        count = export_labels(opened, export, unlabelled_only=unlabelled)
        console.print(f"{count:,} images written to {export}", soft_wrap=True)
    state = opened.label_state()
    if json:
        print_json(state)
    else:
        console.print(f"{state['labelled']:,} of {state['selected']:,} selected images have a label")
