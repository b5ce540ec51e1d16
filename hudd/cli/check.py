"""``hudd check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_results


def check(
    study: o.StudyDir,
    criteria: Annotated[
        Path,
        typer.Option(
            "--criteria", metavar="FILE", help="A YAML file of acceptance criteria.", show_default=False
        ),
    ],
    junit: o.JUnit = None,
    json: o.Json = False,
) -> None:
    """Hold a study against acceptance criteria: pass or fail, one by one.

    A criterion is passed if the upper bound of the failure rate under its condition (one-sided, exact) is at most what
    it allows, on the judge set where there is one, else on the test set. Leaves with exit code 0 if all are passed,
    with 1 if one is not.

    [bold]Examples[/]

      hudd check signs --criteria criteria.yaml

      hudd check signs --criteria criteria.yaml --junit check.xml --json
    """
    from hudd.cli.junit import cases_for
    from hudd.cli.printing import print_json, print_verdicts
    from hudd.summary import acceptance_record, read_requirements, verdicts

    with cases_for(junit, "hudd check") as cases:
        with cases.case("open"):
            wanted = read_requirements(criteria)
            opened = open_results(study)
            found = verdicts(opened, wanted)
        for one in found:
            cases.add(one.criterion.name, one.reason, "criterion")
    record = acceptance_record(opened, wanted, found)
    if json:
        print_json(record)
    else:
        print_verdicts(str(study), record)
    if not record["passed"]:
        raise typer.Exit(1)
