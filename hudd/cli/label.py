"""``hudd label``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_study, serve_page
from hudd.errors import UsageError

_FOR_COMPARISON = "Export all images that the strategies of 'hudd retrain --compare' pay labels for."


def label(
    study: o.StudyDir,
    export: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the selected images, to be labelled.", show_default=False),
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="PATH", help="Read labels back.", show_default=False)
    ] = None,
    for_comparison: Annotated[bool, typer.Option("--for-comparison", help=_FOR_COMPARISON)] = False,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Export only what has no label.")] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Let imported labels replace others, or an exported file the one that is there.",
        ),
    ] = False,
    serve: o.Serve = False,
    host: o.Host = "127.0.0.1",
    port: o.Port = 0,
    language: o.Language = None,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Label the selected images, where the improvement data do not bring labels.

    PATH is a .csv to fill in, a .json for Label Studio, or a folder of pictures to sort into one folder a
    class. --serve opens a local page to label on by keyboard. Without options: how many labels are missing.

    [bold]Examples[/]

      hudd label signs --export todo.csv --unlabelled

      hudd label signs --export todo.csv --for-comparison

      hudd label signs --import todo.csv

      hudd label signs --serve
    """
    from hudd.cli.printing import console, in_line, print_json
    from hudd.study import labels

    opened = open_study(study, break_lock=break_lock)
    if opened.settings.improvement is None:
        raise UsageError(
            f"'{opened.path}' has no improvement set to label; 'hudd run {opened.path} --improvement DATA' selects "
            "from one."
        )
    labels.check_classes(opened)
    if serve:
        serve_page(opened, "label", host, port, language)
        return
    if import_ is not None:
        count = labels.import_labels(opened, import_, overwrite=overwrite)
        if not json:
            console.print(f"{count:,} new labels read from {in_line(import_)}", soft_wrap=True)
    if export is not None:
        count = labels.export_labels(
            opened, export, unlabelled_only=unlabelled, for_comparison=for_comparison, overwrite=overwrite
        )
        if not json:
            console.print(f"{count:,} images written to {in_line(export)}", soft_wrap=True)
    state = opened.label_state()
    compared = labels.comparison_state(opened) if opened.settings.modes else {}
    if json:
        print_json({**state, **compared})
        return
    console.print(f"{state['labelled']:,} of {state['selected']:,} selected images have a label")
    if compared:
        console.print(in_line(labels.comparison_needs(opened)), soft_wrap=True)
