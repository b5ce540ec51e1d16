"""Do the clusters mean something? Variance reduction, purity, readable rules, and what was chosen."""

from hudd.evaluation.acceptance import (
    Criterion,
    Severity,
    Verdict,
    images_needed,
    severities,
    upper_bound,
    verdict,
)
from hudd.evaluation.chance import SIGNIFICANT, holm, wilson
from hudd.evaluation.matching import match_groups
from hudd.evaluation.numbers import format_range
from hudd.evaluation.paired import PairedChange, mcnemar
from hudd.evaluation.purity import NATURAL, PurityCoverage, is_known, purity_coverage
from hudd.evaluation.ranges import UnsafeRange, unsafe_ranges
from hudd.evaluation.rates import FailureRate, cross_fitted_rates, cross_fitted_regions, failure_rates
from hudd.evaluation.regions import Bound, Region
from hudd.evaluation.roc import Auroc, AurocDifference, auroc, auroc_difference
from hudd.evaluation.rules import Rule, cluster_rules
from hudd.evaluation.turns import turn
from hudd.evaluation.variance import VarianceReduction, most_telling, variance_reduction

__all__ = [
    "NATURAL",
    "SIGNIFICANT",
    "Auroc",
    "AurocDifference",
    "Bound",
    "Criterion",
    "FailureRate",
    "PairedChange",
    "PurityCoverage",
    "Region",
    "Rule",
    "Severity",
    "UnsafeRange",
    "VarianceReduction",
    "Verdict",
    "auroc",
    "auroc_difference",
    "cluster_rules",
    "cross_fitted_rates",
    "cross_fitted_regions",
    "failure_rates",
    "format_range",
    "holm",
    "images_needed",
    "is_known",
    "match_groups",
    "mcnemar",
    "most_telling",
    "purity_coverage",
    "severities",
    "turn",
    "unsafe_ranges",
    "upper_bound",
    "variance_reduction",
    "verdict",
    "wilson",
]
