"""``hudd export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_study


def export(
    study: o.StudyDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to; by default STUDY/export.", show_default=False),
    ] = None,
    formats: o.Formats = "csv,images",
) -> None:
    """Write the tables as CSV, the images in a folder per cluster, or a project for another tool.

    Clusters that were named, merged or split on the served report are exported as they were left.

    [bold]Examples[/]

      hudd export signs

      hudd export signs --to csv --out tables

      hudd export signs --to virelay,fiftyone
    """
    from hudd.cli.printing import console, in_line
    from hudd.export import export as write

    wanted = tuple(name.strip() for name in formats.split(","))
    for path in write(open_study(study), out or study / "export", formats=wanted):
        console.print(in_line(path), soft_wrap=True)
