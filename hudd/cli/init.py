"""``hudd init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.settings.file import FILE


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path(FILE),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a file of settings to fill in, for 'hudd run STUDY --config FILE'.

    Every setting is in it, explained and with its default; those that nearly every study needs come first.

    [bold]Example[/]

      hudd init signs.toml

      hudd run signs --config signs.toml
    """
    from hudd.cli.printing import console, in_line
    from hudd.errors import UsageError
    from hudd.settings.file import template
    from hudd.store.files import check_place, write_whole

    check_place(file, "", FILE)
    if file.exists() and not overwrite:
        raise UsageError(f"'{file}' exists; give --overwrite to replace it, or name another file.")
    write_whole(file, template(file.name).encode())
    told = f"Wrote {file}; fill in model and data, then 'hudd run STUDY --config {file}' reads it."
    console.print(in_line(told), soft_wrap=True)
