"""What the images of a cluster have in common: parameter variance, purity, a readable rule."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import h5py
import numpy as np

from hudd.evaluation import (
    FailureRate,
    PurityCoverage,
    Rule,
    UnsafeRange,
    VarianceReduction,
    unsafe_ranges,
)
from hudd.store import write_dataset
from hudd.study.fingerprint import digest
from hudd.study.grouping import write_names
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.measures import purity_of, variance_of
from hudd.study.step import Step
from hudd.study.steps import cluster, judge
from hudd.study.wording import named, rates_of, rules_of
from hudd.summary import cause_facts

_CONTENTS = 2  # 1 had neither shifts nor the parameters of rules


def fingerprint(inputs: Inputs) -> str:
    """Everything that the evaluation depends on."""
    settings = inputs.settings
    return digest(
        "evaluate", _CONTENTS, cluster.fingerprint(inputs), settings.seed, settings.angles, settings.units
    )


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Measure the clusters by what is known about the images; a parameter "cause" is the known cause.

    The images of a judge set are placed among the clusters, too.
    """
    mark = fingerprint(inputs)
    if not journal.is_done("evaluate", mark):
        journal.lead(lambda: _measure(inputs, journal, mark))
    if inputs.settings.data("judge") is not None:
        judge.place(inputs, journal, checksums=checksums)


def fingerprints(inputs: Inputs, journal: Journal) -> dict[str, str]:
    """Everything that the results depend on, by their keys."""
    judged = {"judge": judge.fingerprint(inputs)} if inputs.settings.data("judge") is not None else {}
    return {"evaluate": fingerprint(inputs), **judged}


def _measure(inputs: Inputs, journal: Journal, mark: str) -> None:
    started, labels = time.perf_counter(), inputs.results.clusters.label
    known = {
        name: values[inputs.results.errors]
        for name, values in inputs.results.split("test").parameters.items()
    }
    variance = variance_of(inputs.results, labels)
    purity = purity_of(inputs.results, labels)
    rules = rules_of(inputs.results, labels)
    found = inputs.results.causes
    causes = rules_of(inputs.results, found.of_error)
    rates = rates_of(inputs.results, found.of_error) if causes else []
    with journal.committing("evaluate", mark, started) as h5:
        journal.forget(h5, "evaluate")
        journal.forget_after(h5, "evaluate")
        group = h5.create_group("evaluation")
        group.attrs["clusters"] = len(inputs.results.clusters.medoid)
        group.attrs["singletons"] = int((np.bincount(labels)[1:] == 1).sum())
        if variance:
            _write_variance(group.create_group("variance"), variance)
            ranges = unsafe_ranges(known, labels, variance, angles=inputs.settings.angles)
            if ranges:
                _write_ranges(group.create_group("ranges"), ranges)
        if purity:
            _write_purity(group.create_group("purity"), purity)
        if causes:
            names = [named(rule, inputs.results) for rule in causes]
            _write_rules(group.create_group("causes"), causes, names, "cause")
            _write_rates(group.create_group("rates"), rates)
        if rules:
            _write_rules(group.create_group("rules"), rules, [named(rule, inputs.results) for rule in rules])
        facts = sorted(cause_facts(inputs.results), key=lambda fact: fact.number)
        label = replace(found, rule=[fact.rule for fact in facts]).label
        write_names(h5.create_group("causes"), label, facts)


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


def _write_rules(group: h5py.Group, rules: list[Rule], names: list[str], of: str = "cluster") -> None:
    """Write the rules of clusters, or of causes."""
    labels = np.array([rule.cluster for rule in rules], np.int64)
    write_dataset(group, of, labels, dims=(of,), scale=True, description=f"{of} of at least two errors")
    texts = {
        "text": ([rule.text for rule in rules], f"condition that singles the {of} out"),
        "name": (names, "what images that fit are called, and the condition"),
        "parameters": (
            [json.dumps(rule.parameters) for rule in rules],
            "JSON list of the parameters in it",
        ),
        "region": ([rule.region.to_json() for rule in rules], "JSON list of what it asks of which parameter"),
    }
    for name, (column, about) in texts.items():
        write_dataset(group, name, column, dims=(of,), description=about)
    descriptions = {
        "precision": "share of the test images that fit the rule and are members",
        "recall": "share of the members that fit the rule",
        "f1": "harmonic mean of precision and recall",
        "informedness": "recall less the share of correctly classified images of the same classes that fit",
        "p_value": "share of random sets of errors of the same classes for which the best condition does as well, "
        f"adjusted over all {of}s",
        "images": "test images that fit the rule",
        "failures": "errors that fit the rule",
    }
    for name, about in descriptions.items():
        values = np.array([getattr(rule, name) for rule in rules])
        write_dataset(group, name, values, dims=(of,), description=about)


def _write_rates(group: h5py.Group, rates: list[FailureRate]) -> None:
    numbers = np.array([rate.group for rate in rates], np.int64)
    write_dataset(group, "cause", numbers, dims=("cause",), scale=True, description="cause with a rule")
    descriptions = {
        "images": "test images in the cause's region, each counted by a rule that was found without it",
        "failures": "those of them that the DNN gets wrong",
        "images_outside": "all other test images",
        "failures_outside": "those of them that the DNN gets wrong",
    }
    for name, about in descriptions.items():
        values = np.array([getattr(rate, name) for rate in rates], np.int64)
        write_dataset(group, name, values, dims=("cause",), description=about)
    about = "how often chance puts as many failures into the region, adjusted over all causes"
    p_values = np.array([rate.p_value for rate in rates], np.float64)
    write_dataset(group, "p_value", p_values, dims=("cause",), description=about)


STEP = Step(
    name="evaluate",
    requires=("cluster", "test/judge"),
    outputs={"evaluate": ("evaluation", "causes"), "judge": ("judge",)},
    shards=("judge",),
    # 1 had no rules of attributes, and took each cluster's p-value by itself; 2 no failure rates; 3 no names of causes;
    # 4 drew random sets of any size for p-values; 5 named the first of attributes that tell as much; 6 compared the
    # best of all attributes with chance
    version=7,
    run=run,
    fingerprint=fingerprints,
)
