"""``hudd evaluate``."""

from __future__ import annotations

from hudd.cli import options as o


def evaluate(study: o.StudyDir, break_lock: o.BreakLock = False, json: o.Json = False) -> None:
    """Measure what the images of a cluster have in common.

    Variance of each parameter against that over all errors, a rule that singles the cluster out, and purity
    where a parameter "cause" tells the true cause.

    [bold]Example[/]

      hudd evaluate signs --json
    """
    from hudd.cli.printing import print_json, print_table, take

    opened = o.open_study(study, break_lock=break_lock)
    if json:
        print_json(opened.evaluate().table("evaluation").to_dict("records"))
        return
    take(opened, "evaluate")
    table = opened.table("evaluation").drop(columns=["f1", "p_value"], errors="ignore")
    print_table("Clusters and what is known about their images", table)
