"""Do the clusters mean something? Variance reduction, purity, readable rules, and what was chosen."""

from hudd.evaluation.composition import unsafe_composition
from hudd.evaluation.purity import PurityCoverage, purity_coverage
from hudd.evaluation.ranges import UnsafeRange, unsafe_ranges
from hudd.evaluation.rules import Rule, cluster_rules
from hudd.evaluation.variance import VarianceReduction, variance_reduction

__all__ = [
    "PurityCoverage",
    "Rule",
    "UnsafeRange",
    "VarianceReduction",
    "cluster_rules",
    "purity_coverage",
    "unsafe_composition",
    "unsafe_ranges",
    "variance_reduction",
]
