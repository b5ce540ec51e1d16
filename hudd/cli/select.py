"""``hudd select``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("select")
def select(
    study: o.StudyDir,
    given: o.Given,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Select the improvement images to label next: of each root cause those that are likely to be wrong, and unlike.

    With --strategy hudd, images closest to the clusters are selected, as in the paper. With --strategy hybrid, images
    within the clusters' reach are drawn by how likely the DNN fails on them, from its entropy and from the test images
    with like heatmaps; each cluster's budget stays the same. With --cause, all labels go to one root cause.

    [bold]Examples[/]

      hudd select signs --improvement field --budget 200

      hudd select signs --strategy hudd

      hudd select signs --cause 3 --budget 50

      hudd select signs --images list.csv

      hudd select signs --json
    """
    from hudd.cli.printing import console, print_json, print_selection, run_step
    from hudd.summary import records
    from hudd.summary.cost import cost_of

    opened = open_study(study, given=given, break_lock=break_lock)
    if json:
        print_json(records(opened.select().table("selection")))
        return
    run_step(opened, "select")
    print_selection(opened.table("selection"))
    console.print(str(cost_of(opened, opened.selection.image)))
