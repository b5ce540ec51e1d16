"""``hudd heatmaps``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("heatmaps")
def heatmaps(study: o.StudyDir, given: o.Given, break_lock: o.BreakLock = False) -> None:
    """Compute the relevance of every error (LRP), at every layer or as the preset joins them.

    Also checks the heatmaps that are there against their checksums and computes damaged ones again.

    [bold]Examples[/]

      hudd heatmaps signs

      hudd heatmaps signs --preset hudd --layers 'features.*' --store selected

      hudd heatmaps signs --rules 'features.0=z-box,classifier.*=epsilon'
    """
    from hudd.cli.printing import run_step

    run_step(open_study(study, given=given, break_lock=break_lock), "heatmaps")
