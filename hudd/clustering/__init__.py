"""Root-cause clusters: linkage, number of clusters, choice of the layer, and how far to trust them."""

from hudd.clustering.causes import CauseSplit, find_causes, shared_deviation
from hudd.clustering.cluster import choose_layer, cluster
from hudd.clustering.clusterers import Clusterer, check_counted, is_counted, is_linked
from hudd.clustering.estimator import RootCauses
from hudd.clustering.linkage import linkage
from hudd.clustering.pipelines import Grouping, Pipeline
from hudd.clustering.result import Clustering
from hudd.clustering.stability import Stability, stability
from hudd.clustering.vectors import linkage_vectors
from hudd.parts import CLUSTERERS

__all__ = [
    "CLUSTERERS",
    "CauseSplit",
    "Clusterer",
    "Clustering",
    "Grouping",
    "Pipeline",
    "RootCauses",
    "Stability",
    "check_counted",
    "choose_layer",
    "cluster",
    "find_causes",
    "is_counted",
    "is_linked",
    "linkage",
    "linkage_vectors",
    "shared_deviation",
    "stability",
]
