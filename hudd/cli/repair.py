"""``hudd repair``."""

from __future__ import annotations

from typing import Annotated

import typer

from hudd.cli import options as o


def repair(
    study: o.StudyDir,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="Keep values that another program changed on purpose."),
    ] = False,
) -> None:
    """Read a study's file whole and seal it again, after another program has opened it to write.

    Every object is read in a process of its own and compared with its checksum. What is damaged is refused by name.

    [bold]Example[/]

      hudd repair signs
    """
    from hudd.cli.printing import console, in_line
    from hudd.store import repair as fix

    console.print(in_line(fix(study / "study.h5", accept_changes=accept_changes)), soft_wrap=True)
