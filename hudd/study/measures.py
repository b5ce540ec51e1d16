"""How far clusters, found or edited, agree with what is known about the images."""

from __future__ import annotations

import numpy as np

from hudd.evaluation import PurityCoverage, VarianceReduction, is_known, purity_coverage, variance_reduction
from hudd.study.results import Results
from hudd.study.wording import CAUSE

_PERMUTATIONS = 99


def purity_of(results: Results, labels: np.ndarray) -> PurityCoverage | None:
    """Hold clusters, (N_errors,) int, against the errors' known causes; None where no cause is known."""
    parameters = results.split("test").parameters
    if CAUSE not in parameters:
        return None
    causes = parameters[CAUSE][results.errors]
    known = is_known(causes)
    return purity_coverage(labels[known], causes[known].astype(str)) if known.any() else None


def variance_of(results: Results, labels: np.ndarray) -> VarianceReduction | None:
    """Compare the parameters' variances inside clusters, (N_errors,) int, with those over all errors, and chance.

    None where no parameter but the cause is a number.
    """
    everything = results.split("test").parameters
    known = {name: values[results.errors] for name, values in everything.items() if name != CAUSE}
    if not any(values.dtype.kind in "biuf" for values in known.values()):
        return None
    return variance_reduction(
        known,
        labels,
        angles=results.settings.angles,
        permutations=_PERMUTATIONS,
        seed=results.settings.seed,
    )
