"""``hudd diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_results, open_study


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Study of one DNN.", show_default=False)],
    after: Annotated[
        Path,
        typer.Argument(
            metavar="AFTER", help="Study of another DNN on the same test set.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it as a page, an HTML file, too.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
    language: o.Language = None,
    json: o.Json = False,
) -> None:
    """Compare two studies of one test set, such as before and after retraining: errors and causes.

    Errors are fixed, regressed or kept, image by image, with McNemar's exact test. Causes are new, worse, gone, better
    or kept: paired by their errors, and counted where their rules hold.

    [bold]Examples[/]

      hudd run after --model model.py:cnn --weights before/models/hudd-0.safetensors --test data/test

      hudd diff before after

      hudd diff before after --out diff.html

      hudd diff before after --json | jq '.causes[] | select(.status == "gone")'
    """
    from hudd.cli.printing import (
        console,
        in_line,
        print_cautions,
        print_json,
        print_pairs,
        print_table,
        quietly,
    )
    from hudd.review.difference import compare_studies

    if out is not None:
        from hudd.report.difference import check_page, write_page

        check_page(out, overwrite=overwrite)
    opened = (open_study if out is not None else open_results)(before), open_results(after)
    found = quietly(lambda: compare_studies(*opened), "Comparing")
    if out is not None:
        write_page(found, out, overwrite=overwrite, language=language)
    if json:
        print_json(found.to_dict())
        return
    print_pairs("Before and after", found.figures())
    print_cautions(found.notes())
    if found.causes:
        print_table("Causes", found.table())
        console.print("[dim]?: chance may have done it[/]")
    if out is not None:
        console.print(f"Page: [bold]{in_line(out)}[/]", soft_wrap=True)
