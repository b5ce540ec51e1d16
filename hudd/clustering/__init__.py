"""Root-cause clusters: linkage, number of clusters, choice of the layer, and how far to trust them."""

from typing import TYPE_CHECKING, Any

from hudd.clustering.causes import CauseSplit, find_causes, join_causes, shared_deviation
from hudd.clustering.cluster import choose_layer, cluster
from hudd.clustering.clusterers import (
    Clusterer,
    check_counted,
    check_rows,
    is_counted,
    is_linked,
    works_on_rows,
)
from hudd.clustering.linkage import linkage
from hudd.clustering.pipelines import Grouping, Pipeline
from hudd.clustering.result import Clustering
from hudd.clustering.stability import Stability, stability
from hudd.clustering.vectors import linkage_vectors
from hudd.parts import CLUSTERERS

if TYPE_CHECKING:
    from hudd.clustering.estimator import RootCauses

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
    "check_rows",
    "choose_layer",
    "cluster",
    "find_causes",
    "is_counted",
    "is_linked",
    "join_causes",
    "linkage",
    "linkage_vectors",
    "shared_deviation",
    "stability",
    "works_on_rows",
]


def __getattr__(name: str) -> Any:
    if name != "RootCauses":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from hudd.clustering.estimator import RootCauses  # its base classes load scikit-learn

    return RootCauses
