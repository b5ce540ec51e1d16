"""What the images of a cluster have in common: parameter variance, purity, a readable rule."""

from __future__ import annotations

import json
import time

import h5py
import numpy as np

from hudd.evaluation import (
    PurityCoverage,
    Rule,
    UnsafeRange,
    VarianceReduction,
    cluster_rules,
    is_known,
    purity_coverage,
    unsafe_ranges,
    variance_reduction,
)
from hudd.store import write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import cluster
from hudd.study.study import Study

CAUSE = "cause"
"""The parameter that says what is wrong with an image, where that is known."""
_CONTENTS = 2  # 1 had neither shifts nor the parameters of rules
_PERMUTATIONS = {"variance": 99, "rules": 19}  # 19 tell a rule from chance at the 5 % level


def fingerprint(study: Study) -> str:
    """Everything that the evaluation depends on."""
    settings = study.settings
    return digest(
        "evaluate", _CONTENTS, cluster.fingerprint(study), settings.seed, settings.angles, settings.units
    )


def run(study: Study, *, checksums: bool = False) -> None:
    """Measure the clusters by what is known about the images; a parameter "cause" is the known cause."""
    mark = fingerprint(study)
    if not study.is_done("evaluate", mark):
        study.lead(lambda: _measure(study, mark))


def _measure(study: Study, mark: str) -> None:
    started, labels = time.perf_counter(), study.clusters.label
    known = {name: values[study.errors] for name, values in study.split("test").parameters.items()}
    variance = variance_of(study, labels)
    purity = purity_of(study, labels)
    rules = rules_of(study, labels)
    with study.committing("evaluate", mark, started) as h5:
        study.forget(h5, "evaluate")
        group = h5.create_group("evaluation")
        group.attrs["clusters"] = len(study.clusters.medoid)
        group.attrs["singletons"] = int((np.bincount(labels)[1:] == 1).sum())
        if variance:
            _write_variance(group.create_group("variance"), variance)
            ranges = unsafe_ranges(known, labels, variance, angles=study.settings.angles)
            if ranges:
                _write_ranges(group.create_group("ranges"), ranges)
        if purity:
            _write_purity(group.create_group("purity"), purity)
        if rules:
            _write_rules(group.create_group("rules"), rules)


def purity_of(study: Study, labels: np.ndarray) -> PurityCoverage | None:
    """Hold clusters, (N_errors,) int, against the errors' known causes; None where no cause is known."""
    parameters = study.split("test").parameters
    if CAUSE not in parameters:
        return None
    causes = parameters[CAUSE][study.errors]
    known = is_known(causes)
    return purity_coverage(labels[known], causes[known].astype(str)) if known.any() else None


def variance_of(study: Study, labels: np.ndarray) -> VarianceReduction | None:
    """Compare the parameters' variances inside clusters, (N_errors,) int, with those over all errors, and chance.

    None where no parameter but the cause is a number.
    """
    everything = study.split("test").parameters
    known = {name: values[study.errors] for name, values in everything.items() if name != CAUSE}
    if not any(values.dtype.kind in "biuf" for values in known.values()):
        return None
    return variance_reduction(
        known,
        labels,
        angles=study.settings.angles,
        permutations=_PERMUTATIONS["variance"],
        seed=study.settings.seed,
    )


def rules_of(study: Study, labels: np.ndarray) -> list[Rule]:
    """Find what sets the clusters' images apart from other test images of the same classes.

    Parameters
    ----------
    study : Study
        With a test set; its column "cause" is left out, since a rule of it would only say the purity again.
    labels : np.ndarray
        (N_errors,) int clusters from 1; errors with a label below 1 count among the others.
    """
    test = study.split("test")
    told_by = {name: values for name, values in test.parameters.items() if name != CAUSE}
    if not told_by:
        return []
    everywhere = np.zeros(len(test.label), np.int64)
    everywhere[study.errors] = labels
    return cluster_rules(
        told_by,
        everywhere,
        classes=test.label,
        units=study.settings.units,
        permutations=_PERMUTATIONS["rules"],
        seed=study.settings.seed,
    )


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
    about = "distance of the cluster's mean from that of all errors, in standard deviations of all errors"
    write_dataset(group, "shift", found.shift, dims=("cluster", "parameter"), description=about)
    about = "share of random clusterings in which the best reduction is at least as large"
    write_dataset(group, "p_value", found.p_value, dims=("cluster",), description=about)


def _write_ranges(group: h5py.Group, ranges: list[UnsafeRange]) -> None:
    descriptions = {
        "cluster": "cluster of at least two errors",
        "parameter": "one whose variance is at least halved in the cluster",
        "low": "lower end of the shortest range that holds 90 % of the cluster",
        "high": "upper end; below the lower one where an angle's range runs through the end of its period",
        "reduction": "1 - variance in the cluster / variance over all errors",
        "share_of_all": "share of all errors inside the range",
    }
    for name, about in descriptions.items():
        values = [getattr(found, name) for found in ranges]
        column = values if name == "parameter" else np.array(values, np.int64 if name == "cluster" else float)
        write_dataset(group, name, column, dims=("range",), description=about)


def _write_purity(group: h5py.Group, found: PurityCoverage) -> None:
    summary = found.to_dict()
    group.attrs.update({key: value for key, value in summary.items() if isinstance(value, int | float)})
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
    named = [json.dumps(rule.parameters) for rule in rules]
    write_dataset(
        group, "parameters", named, dims=("cluster",), description="JSON list of the parameters in it"
    )
    descriptions = {
        "precision": "share of the test images that fit the rule and are members",
        "recall": "share of the members that fit the rule",
        "f1": "harmonic mean of precision and recall",
        "informedness": "recall less the share of other test images of the same classes that fit",
        "p_value": "share of random clusters of the same classes for which the best rule does as well",
    }
    for name, about in descriptions.items():
        values = np.array([getattr(rule, name) for rule in rules])
        write_dataset(group, name, values, dims=("cluster",), description=about)
