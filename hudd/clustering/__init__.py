"""Root-cause clusters: linkage, number of clusters, choice of the layer, and how far to trust them."""

from hudd.clustering.cluster import Clustering, choose_layer, cluster, cluster_layers
from hudd.clustering.criteria import Criteria, criteria, criteria_curve
from hudd.clustering.linkage import linkage
from hudd.clustering.pipelines import Grouping, Pipeline
from hudd.clustering.stability import Stability, stability
from hudd.clustering.vectors import linkage_vectors

__all__ = [
    "Clustering",
    "Criteria",
    "Grouping",
    "Pipeline",
    "Stability",
    "choose_layer",
    "cluster",
    "cluster_layers",
    "criteria",
    "criteria_curve",
    "linkage",
    "linkage_vectors",
    "stability",
]
