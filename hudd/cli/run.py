"""``hudd run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hudd.cli import options as o
from hudd.cli.opening import open_or_create

if TYPE_CHECKING:
    from hudd.study import Study


@o.takes()
def run(
    study: o.StudyDir,
    given: o.Given,
    config: o.Config = None,
    force: o.Force = None,
    upgrade: o.Upgrade = False,
    break_lock: o.BreakLock = False,
    junit: o.JUnit = None,
) -> None:
    """Take all steps, from the test to the report; resume where an earlier run stopped.

    Without an improvement set it ends at the clusters, without labels or a training set at the selection.
    Given again with other options, it computes again only what depends on them.

    [bold]Examples[/]

      hudd run signs --model model.py:cnn --weights cnn.pth --test test --train train --improvement field

      hudd run signs --config signs.toml      [dim]# settings in a file, see 'hudd init'[/]

      hudd run signs                          [dim]# resume[/]

      hudd run signs --pool channel           [dim]# other heatmaps: the test is kept, the rest is recomputed[/]

      torchrun --nproc-per-node 4 -m hudd run signs     [dim]# four processes, one GPU each if there are any[/]
    """
    from hudd.cli.junit import cases_for
    from hudd.cli.printing import (
        SPEAKS,
        console,
        in_line,
        print_summary,
        quietly,
        run_step,
        write_comparison,
        write_report,
    )
    from hudd.settings.file import read_file

    in_file = read_file(config) if config else {}

    def ready() -> Study:
        return open_or_create(
            study, given=in_file | given, force=force, upgrade=upgrade, break_lock=break_lock
        )

    with cases_for(junit if SPEAKS else None) as cases:
        with cases.case("open"):
            opened = quietly(ready, "Checking model and data")
        for step in opened.possible_steps():
            with cases.case(step):
                run_step(opened, step)
    if not opened.journal.ranks.first:
        return
    if step == "retrain" and (len(opened.settings.compared) > 1 or opened.settings.runs > 1):
        write_comparison(opened)
    print_summary(opened, write_report(opened))
    for hint in opened.hints():
        console.print(f"[dim]{in_line(hint)}[/]", soft_wrap=True)
