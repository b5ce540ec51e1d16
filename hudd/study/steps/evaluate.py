"""What the images of a cluster have in common: parameter variance, purity, a readable rule."""

from __future__ import annotations

import time

import h5py
import numpy as np

from hudd.evaluation import (
    PurityCoverage,
    Rule,
    VarianceReduction,
    cluster_rules,
    purity_coverage,
    variance_reduction,
)
from hudd.store import write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import cluster
from hudd.study.study import Study

CAUSE = "cause"
_PERMUTATIONS = 19  # tells a rule from chance at the 5 % level


def run(study: Study, *, checksums: bool = False) -> None:
    """Measure the clusters by what is known about the images; a parameter "cause" is the known cause."""
    mark, started = digest("evaluate", cluster.fingerprint(study), study.settings.seed), time.perf_counter()
    if study.is_done("evaluate", mark):
        return
    rows, labels, seed = study.errors, study.clusters.label, study.settings.seed
    known = {name: values[rows] for name, values in study.split("test").parameters.items()}
    numeric = {name: values for name, values in known.items() if values.dtype.kind in "biuf"}
    variance = variance_reduction(numeric, labels) if numeric else None
    purity = purity_coverage(labels, known[CAUSE].astype(str)) if CAUSE in known else None
    # A rule that names the known cause would only say the purity again.
    told_by = {name: values for name, values in known.items() if name != CAUSE}
    rules = cluster_rules(told_by, labels, permutations=_PERMUTATIONS, seed=seed) if told_by else []
    with study.committing("evaluate", mark, started) as h5:
        study.forget(h5, "evaluate")
        group = h5.create_group("evaluation")
        group.attrs["clusters"] = len(study.clusters.medoid)
        group.attrs["singletons"] = int((np.bincount(labels)[1:] == 1).sum())
        if variance:
            _write_variance(group.create_group("variance"), variance)
        if purity:
            _write_purity(group.create_group("purity"), purity)
        if rules:
            _write_rules(group.create_group("rules"), rules)


def _write_variance(group: h5py.Group, found: VarianceReduction) -> None:
    summary = found.to_dict()
    group.attrs.update({key: value for key, value in summary.items() if isinstance(value, float)})
    about = "cluster of at least two errors"
    write_dataset(group, "cluster", found.clusters, dims=("cluster",), scale=True, description=about)
    names = list(found.parameters)
    write_dataset(
        group, "parameter", names, dims=("parameter",), scale=True, description="name of the parameter"
    )
    about = "1 - variance of the parameter in the cluster / its variance over all errors"
    write_dataset(group, "reduction", found.reduction, dims=("cluster", "parameter"), description=about)


def _write_purity(group: h5py.Group, found: PurityCoverage) -> None:
    summary = found.to_dict()
    group.attrs.update({key: value for key, value in summary.items() if isinstance(value, float)})
    about = "cluster of at least two errors"
    write_dataset(group, "cluster", found.clusters, dims=("cluster",), scale=True, description=about)
    write_dataset(
        group, "majority", list(found.majority), dims=("cluster",), description="its commonest cause"
    )
    write_dataset(group, "purity", found.purity, dims=("cluster",), description="share of that cause")


def _write_rules(group: h5py.Group, rules: list[Rule]) -> None:
    labels = np.array([rule.cluster for rule in rules], np.int64)
    write_dataset(
        group, "cluster", labels, dims=("cluster",), scale=True, description="cluster of at least two errors"
    )
    about = "condition on the parameters that singles the cluster out"
    write_dataset(group, "text", [rule.text for rule in rules], dims=("cluster",), description=about)
    descriptions = {
        "precision": "share of the errors that fit the rule and are members",
        "recall": "share of the members that fit the rule",
        "f1": "harmonic mean of precision and recall",
        "p_value": "share of random clusters for which an equally simple rule does as well",
    }
    for name, about in descriptions.items():
        values = np.array([getattr(rule, name) for rule in rules])
        write_dataset(group, name, values, dims=("cluster",), description=about)
