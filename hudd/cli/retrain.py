"""``hudd retrain``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("retrain")
def retrain(
    study: o.StudyDir,
    given: o.Given,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Retrain the DNN on the training set and the labelled unsafe set, and test it again.

    The new weights are put in STUDY/models. With --compare, strategies that pay for the same number of labels
    are retrained by the same seeds, 10 each, and STUDY/comparison gets the figures of every run (CSV), statistics
    (JSON) and a plot. What is killed goes on with the epoch in which it stopped.

    [bold]Examples[/]

      hudd retrain signs --epochs 20 --lr 0.0003 --optimizer adam

      hudd retrain signs --compare hudd,hybrid,random,entropy --runs 10
    """
    from hudd.cli.printing import console, in_line, print_comparison, print_json, print_table, run_step
    from hudd.study.labels import comparison_needs
    from hudd.study.strategy_comparison import (
        comparison_table,
        comparison_text,
        strategy_comparison,
        write_comparison,
    )
    from hudd.summary import records

    opened = open_study(study, given=given, break_lock=break_lock)
    if json:
        opened.retrain()
    else:
        if opened.settings.modes:
            run_step(opened, "select")
            console.print(in_line(comparison_needs(opened)), soft_wrap=True)
        run_step(opened, "retrain")
    if len(opened.settings.compared) == 1 and opened.settings.runs == 1:
        if json:
            print_json(records(opened.table("retraining")))
        else:
            print_table("Retraining", opened.table("retraining"))
        return
    files, found = write_comparison(opened), strategy_comparison(opened)
    if json:
        print_json(records(comparison_table(opened)))
        return
    print_comparison(found, comparison_text(opened))
    if found.on == "judge":
        print_comparison(strategy_comparison(opened, on="test"), comparison_text(opened, on="test"))
    console.print(f"Runs, statistics and plot: [bold]{in_line(files['csv'].parent)}[/]", soft_wrap=True)
