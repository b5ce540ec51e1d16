"""``hudd report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o


def report(
    study: o.StudyDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where to; by default STUDY/report.", show_default=False),
    ] = None,
) -> None:
    """Write the HTML report: clusters with heatmaps, curves, the unsafe set, before and after.

    [bold]Example[/]

      hudd report signs
    """
    from hudd.cli.printing import console
    from hudd.report import write_report

    console.print(f"Report: [bold]{write_report(o.open_study(study), out)}[/]", soft_wrap=True)
