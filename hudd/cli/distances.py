"""``hudd distances``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("distances")
def distances(study: o.StudyDir, given: o.Given, break_lock: o.BreakLock = False) -> None:
    """Take the Euclidean distances between the errors' heatmaps, layer by layer.

    [bold]Example[/]

      hudd distances signs
    """
    from hudd.cli.printing import run_step

    run_step(open_study(study, given=given, break_lock=break_lock), "distances")
