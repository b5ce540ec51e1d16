"""``hudd cluster``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


@o.takes("cluster")
def cluster(
    study: o.StudyDir,
    given: o.Given,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Cluster the errors at every layer, keep the clusters of one layer and join them into causes.

    [bold]Examples[/]

      hudd cluster signs

      hudd cluster signs --layer features.3 --max-clusters 40

      hudd cluster signs --reduction pca --clusterer hdbscan
    """
    from hudd.cli.printing import print_json, print_table, run_step

    opened = open_study(study, given=given, break_lock=break_lock)
    if json:
        summary = opened.cluster().summary()
        print_json({name: summary[name] for name in ("chosen_layer", "layers", "clusters")})
        return
    run_step(opened, "cluster")
    print_table("Clusters", opened.table("clusters"))
