"""``hudd dossier``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_study


def dossier(
    study: o.StudyDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to; by default STUDY/dossier.", show_default=False),
    ] = None,
    odd: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A text file that states the operational design domain.",
            show_default=False,
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A YAML file of decisions about conditions: who accepted or rejected which, and when; by default "
            "those made on the served report.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dossier that is there.")] = False,
) -> None:
    """Write a safety dossier: triggering conditions with failure rates, status and provenance, as PDF, HTML and JSON.

    It holds evidence for a safety argument and says which part speaks to which clause of ISO 21448, ISO/PAS 8800, AMLAS
    and the EU AI Act. It claims no conformity with any of them.

    [bold]Examples[/]

      hudd dossier signs

      hudd dossier signs --odd domain.txt --out evidence
    """
    from hudd.cli.printing import console, in_line
    from hudd.dossier import read_decisions, write
    from hudd.dossier.folder import check_out, read_domain
    from hudd.dossier.pdf import ABSENT

    folder = out or study / "dossier"
    check_out(folder, overwrite)
    statement = "" if odd is None else read_domain(odd)
    decided = None if decisions is None else read_decisions(decisions)
    written = write(open_study(study), folder, odd=statement, decisions=decided, overwrite=overwrite)
    for path in written:
        console.print(in_line(path), soft_wrap=True)
    if not any(path.suffix == ".pdf" for path in written):
        console.print(in_line(ABSENT), soft_wrap=True)
