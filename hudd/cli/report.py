"""``hudd report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_study, serve_page


def report(
    study: o.StudyDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where to; by default STUDY/report.", show_default=False),
    ] = None,
    serve: o.Serve = False,
    host: o.Host = "127.0.0.1",
    port: o.Port = 0,
    language: o.Language = None,
) -> None:
    """Write the HTML report: causes, clusters with heatmaps, the unsafe set, before and after retraining.

    With --serve, the report comes as a local page on which clusters can be named and notes are kept.

    [bold]Examples[/]

      hudd report signs

      hudd report signs --serve
    """
    if serve:
        serve_page(open_study(study), "report", host, port, language)
        return
    from hudd.cli.printing import console, in_line
    from hudd.report import write_report

    page = write_report(open_study(study), out, language=language)
    console.print(f"Report: [bold]{in_line(page)}[/]", soft_wrap=True)
