"""Root-cause clusters: linkage, number of clusters, choice of the layer."""

from hudd.clustering.cluster import Clustering, choose_layer, cluster
from hudd.clustering.linkage import linkage

__all__ = ["Clustering", "choose_layer", "cluster", "linkage"]
