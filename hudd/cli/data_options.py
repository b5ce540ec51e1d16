"""Options of how data are read: classes, shared and undecodable images, orientation."""

from __future__ import annotations

from typing import Annotated

import typer

Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Class name of every output, in order: a list with commas, or a file with one per line (or JSON).",
        rich_help_panel="Model and data",
    ),
]
AllowOverlap = Annotated[
    bool | None,
    typer.Option(
        "--allow-overlap",
        help="Continue although sets share images, or copies of an image have different labels.",
        rich_help_panel="Model and data",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool | None,
    typer.Option(
        "--skip-bad",
        help="Leave out images that cannot be decoded; the study lists them.",
        rich_help_panel="Model and data",
        show_default=False,
    ),
]
ExifOrient = Annotated[
    bool | None,
    typer.Option(
        "--exif-orient/--no-exif-orient",
        help="Turn image files as their EXIF data say (default: as the pixels are stored).",
        rich_help_panel="Transform",
        show_default=False,
    ),
]
