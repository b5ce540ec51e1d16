"""``hudd export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o


def export(
    study: o.StudyDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to; by default STUDY/export.", show_default=False),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="csv, images, or both.")
    ] = "csv,images",
) -> None:
    """Write the tables as CSV, and the images in a folder a cluster.

    [bold]Examples[/]

      hudd export signs

      hudd export signs --format csv --out tables
    """
    from hudd.cli.printing import console
    from hudd.study.export import export as write

    wanted = tuple(name.strip() for name in formats.split(","))
    for path in write(o.open_study(study), out or study / "export", formats=wanted):
        console.print(str(path), soft_wrap=True)
