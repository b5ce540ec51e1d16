"""``hudd evaluate``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("evaluate")
def evaluate(
    study: o.StudyDir,
    given: o.Given,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Measure what the images of a cluster have in common.

    Variance of each parameter against that over all errors, the range that holds 90 % of the cluster, a rule on
    parameters or measured attributes that sets the cluster apart from correctly classified images of its classes, and
    purity where a parameter "cause" names the true cause. Variances and rules are compared with chance.

    [bold]Examples[/]

      hudd evaluate signs --units width=px,height=px

      hudd evaluate signs --json
    """
    from hudd.cli.printing import print_json, print_table, run_step
    from hudd.summary import records

    opened = open_study(study, given=given, break_lock=break_lock)
    if json:
        print_json(records(opened.evaluate().table("evaluation")))
        return
    run_step(opened, "evaluate")
    table = opened.table("evaluation").drop(columns=["f1", "p_value"], errors="ignore")
    print_table("Clusters and what is known about their images", table)
