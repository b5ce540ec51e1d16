"""Which field images to label next: those closest to the root-cause clusters; and balanced bags of them."""

from hudd.parts import STRATEGIES
from hudd.selection.balance import balance, balance_weights, smart_bagging
from hudd.selection.baselines import bootstrap, select_bl1, select_bl2, select_random
from hudd.selection.by_cause import select_by_cause, select_for_cause
from hudd.selection.candidates import Candidates, Drawn, Embedding, SelectionStrategy
from hudd.selection.closest import ClosestMembers, closest_members, cluster_sizes
from hudd.selection.diverse import select_badge, select_core_set, select_entropy_kmeans, select_typical
from hudd.selection.doubt import failure_rate, sampled_doubt
from hudd.selection.given import listed_images
from hudd.selection.labels import (
    export_csv,
    export_folder,
    export_label_studio,
    import_labels,
    label_studio_interface,
)
from hudd.selection.strategies import (
    bag_size,
    check_strategies,
    selected,
    strategies,
    strategies_of,
    unsafe_set,
    with_clusters,
)
from hudd.selection.trusted import select_trusted
from hudd.selection.uncertain import select_class_balanced, select_entropy, select_margin
from hudd.selection.unsafe import UnsafeSet, cluster_budgets, select_unsafe, share_out, shuffled_order

__all__ = [
    "STRATEGIES",
    "Candidates",
    "ClosestMembers",
    "Drawn",
    "Embedding",
    "SelectionStrategy",
    "UnsafeSet",
    "bag_size",
    "balance",
    "balance_weights",
    "bootstrap",
    "check_strategies",
    "closest_members",
    "cluster_budgets",
    "cluster_sizes",
    "export_csv",
    "export_folder",
    "export_label_studio",
    "failure_rate",
    "import_labels",
    "label_studio_interface",
    "listed_images",
    "sampled_doubt",
    "select_badge",
    "select_bl1",
    "select_bl2",
    "select_by_cause",
    "select_class_balanced",
    "select_core_set",
    "select_entropy",
    "select_entropy_kmeans",
    "select_for_cause",
    "select_margin",
    "select_random",
    "select_trusted",
    "select_typical",
    "select_unsafe",
    "selected",
    "share_out",
    "shuffled_order",
    "smart_bagging",
    "strategies",
    "strategies_of",
    "unsafe_set",
    "with_clusters",
]
