"""``hudd cluster``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


def cluster(
    study: o.StudyDir,
    reduction: o.ReductionName = None,
    clusterer: o.ClustererName = None,
    max_clusters: o.MaxClusters = None,
    cluster_size: o.ClusterSize = None,
    layer: o.Layer = None,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Cluster the errors at every layer and keep the clusters of one layer.

    [bold]Examples[/]

      hudd cluster signs

      hudd cluster signs --layer features.3 --max-clusters 40

      hudd cluster signs --reduction pca --clusterer hdbscan
    """
    from hudd.cli.printing import print_json, print_table, run_step

    opened = open_study(
        study,
        break_lock=break_lock,
        reduction=reduction,
        clusterer=clusterer,
        max_clusters=max_clusters,
        cluster_size=cluster_size,
        layer=layer,
    )
    if json:
        summary = opened.cluster().summary()
        print_json({name: summary[name] for name in ("chosen_layer", "layers", "clusters")})
        return
    run_step(opened, "cluster")
    print_table("Clusters", opened.table("clusters"))
