"""``hudd monitor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_study


def monitor(
    study: o.StudyDir,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The program, a .pt2 file.", show_default=False)],
    false_alarms: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of the correctly classified test images that may raise an alarm."
        ),
    ] = 0.05,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
    json: o.Json = False,
) -> None:
    """Export a program that says which cause of failures an image is near, with an alarm.

    It needs torch alone. The AUROC of its score for failures, on the judge set where there is one, is compared with
    that of the DNN's largest probability; which of the two is better depends on the DNN.

    [bold]Examples[/]

      hudd monitor signs --out monitor.pt2

      hudd monitor signs --out monitor.pt2 --false-alarms 0.01
    """
    from hudd.cli.printing import console, in_line, print_json, print_pairs, print_table
    from hudd.review.view import view
    from hudd.study.monitoring import check_program, fit_monitor
    from hudd.summary import cause_facts

    check_program(out, overwrite=overwrite)
    opened = open_study(study)
    names = {cause.number: cause.name for cause in cause_facts(view(opened)) if cause.common}
    found = fit_monitor(opened.inputs, names, false_alarms=false_alarms)
    found.save(out, overwrite=overwrite)
    if json:
        print_json(found.to_dict())
        return
    print_table(found.figures.title, found.figures.table())
    console.print(in_line(found.figures.verdict), soft_wrap=True)
    print_pairs("Alarm", found.figures.told())
    console.print(f"Program: [bold]{in_line(out)}[/]", soft_wrap=True)
