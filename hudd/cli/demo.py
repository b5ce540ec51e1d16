"""``hudd demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o


def demo(
    case: o.Case = "mnist",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to; by default hudd-demo-NAME.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of data and training.")] = 0,
) -> None:
    """Run the whole method on a bundled case, from training a small DNN to the report.

    [bold]Examples[/]

      hudd demo

      hudd demo --case eyes --out /tmp/eyes
    """
    from hudd.cli.printing import console, in_line, print_step, print_summary, run_step, write_report
    from hudd.data import get_case
    from hudd.demo import prepare
    from hudd.specs import is_factory

    directory = out or Path(f"hudd-demo-{get_case(case).name if is_factory(case) else case}")
    study = prepare(case, directory, seed=seed, told=print_step)
    before = study.marks()
    for step in study.possible_steps():
        run_step(study, step)
    page = write_report(study)
    if study.marks() == before:
        console.print(
            f"Nothing to do: the study in {in_line(directory)} is finished. Remove it to start again.",
            soft_wrap=True,
        )
    print_summary(study, page)
    console.print(
        f"[dim]More: hudd show {in_line(directory)}, hudd export {in_line(directory)}[/]",
        soft_wrap=True,
    )
