"""hudd: root causes of an image DNN's failures, from clustered relevance heatmaps.

The names below are the public interface; each is loaded when it is first used, so that ``import hudd`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hudd import evaluation as evaluate
    from hudd.clustering.cluster import Clustering, choose_layer, cluster
    from hudd.clustering.estimator import RootCauses
    from hudd.clustering.linkage import linkage
    from hudd.clustering.vectors import linkage_vectors
    from hudd.distances import pairwise_distances
    from hudd.errors import HuddError, UnsupportedOperation, UsageError
    from hudd.lrp import LRP, Relevance
    from hudd.retraining.retrain import retrain
    from hudd.selection.balance import balance
    from hudd.selection.unsafe import UnsafeSet, select_unsafe
    from hudd.study import Study
    from hudd.version import __version__

_HOMES = {
    "Clustering": "hudd.clustering",
    "HuddError": "hudd.errors",
    "LRP": "hudd.lrp",
    "Relevance": "hudd.lrp",
    "RootCauses": "hudd.clustering",
    "Study": "hudd.study",
    "UnsafeSet": "hudd.selection",
    "UnsupportedOperation": "hudd.errors",
    "UsageError": "hudd.errors",
    "__version__": "hudd.version",
    "balance": "hudd.selection",
    "choose_layer": "hudd.clustering",
    "cluster": "hudd.clustering",
    "linkage": "hudd.clustering",
    "linkage_vectors": "hudd.clustering",
    "pairwise_distances": "hudd.distances",
    "retrain": "hudd.retraining",
    "select_unsafe": "hudd.selection",
}

__all__ = [
    "LRP",
    "Clustering",
    "HuddError",
    "Relevance",
    "RootCauses",
    "Study",
    "UnsafeSet",
    "UnsupportedOperation",
    "UsageError",
    "__version__",
    "balance",
    "choose_layer",
    "cluster",
    "evaluate",
    "linkage",
    "linkage_vectors",
    "pairwise_distances",
    "retrain",
    "select_unsafe",
]


def __getattr__(name: str) -> object:
    if name == "evaluate":
        value: object = importlib.import_module("hudd.evaluation")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'hudd' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
