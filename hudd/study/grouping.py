"""Clusters and root causes in a study's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np

from hudd.clustering import CauseSplit
from hudd.evaluation import wilson
from hudd.store import read_text, write_dataset
from hudd.study.values import row_numbers
from hudd.summary import CauseFacts, Causes, Clusters, FailureCount

_COLUMNS = {
    "medoid": "error row of the cause's most central member",
    "common": "whether its errors deviate from correctly classified images in a common way, or it cannot be told",
    "shared": "share of that deviation that errors of one cluster have in common; NaN where it cannot be told",
    "p_apart": "p of the split of the dendrogram that sets the cause apart; NaN where there is none",
    "p_inside": "smallest p of the splits inside it; NaN where there is none",
}


def write_causes(group: h5py.Group, found: CauseSplit) -> None:
    """Put causes into the group of the clusters."""
    about = "root cause that the cluster belongs to, from 1"
    write_dataset(group, "cause", found.of_cluster, dims=("cluster",), description=about)
    inside = group.create_group("causes")
    for name, about in _COLUMNS.items():
        write_dataset(inside, name, getattr(found, name), dims=("cause",), description=about)


def read_clusters(group: h5py.Group, errors: int) -> Clusters:
    """Return the clusters of so many errors from their group."""
    medoid = row_numbers(group["medoid"], errors)
    label = row_numbers(group["label"], len(medoid) + 1)
    if label.shape != (errors,) or not (np.unique(label) == np.arange(1, len(medoid) + 1)).all():
        raise ValueError(f"the labels of {len(label)} errors are not those of {len(medoid)} clusters")
    return Clusters(label, medoid, str(group.attrs["layer"]))


def write_names(group: h5py.Group, label: np.ndarray, facts: Sequence[CauseFacts]) -> None:
    """Put what causes are called, ascending by number, into a group of their own."""
    about = "cause of the error, from 1; 0 where the errors have nothing in common"
    write_dataset(group, "label", label, dims=("error",), description=about)
    rates = [fact.rate for fact in facts]
    texts = {
        "name": ([fact.name for fact in facts], "what the cause is called"),
        "rule": ([fact.rule for fact in facts], "condition that sets it apart; empty where there is none"),
    }
    for name, (values, about) in texts.items():
        write_dataset(group, name, values, dims=("cause",), description=about)
    columns = {
        "size": ([len(fact.rows) for fact in facts], "errors of the cause"),
        "failures": (
            [rate.failures if rate else 0 for rate in rates],
            "images that fit the rule and fail; of images that did not choose it",
        ),
        "images": ([rate.images if rate else 0 for rate in rates], "images that fit the rule; 0 without one"),
    }
    for name, (counts, about) in columns.items():
        write_dataset(group, name, np.array(counts, np.int64), dims=("cause",), description=about)


def read_causes(group: h5py.Group, clusters: Clusters, told: h5py.Group | None) -> Causes:
    """Return the causes in the group of the clusters, with what is told of them; without, every cluster is one."""
    if "cause" not in group:
        return Causes.each(clusters)
    of_cluster: np.ndarray = group["cause"][...]
    columns = {name: group[f"causes/{name}"][...] for name in _COLUMNS}
    medoid = row_numbers(group["causes/medoid"], len(clusters.label))
    if (
        of_cluster.shape != clusters.medoid.shape
        or set(of_cluster.tolist()) != set(range(1, len(medoid) + 1))
        or any(column.shape != medoid.shape for column in columns.values())
    ):
        raise ValueError(f"what is told of causes is not that of {len(clusters.medoid)} clusters")
    found = Causes(of_error=of_cluster[clusters.label - 1], of_cluster=of_cluster, **columns)
    if told is None:
        return found
    name, rule = (list(read_text(told[text])) for text in ("name", "rule"))
    counts = list(zip(told["failures"][...].tolist(), told["images"][...].tolist(), strict=True))
    if not len(name) == len(rule) == len(counts) == len(medoid):
        raise ValueError(f"what is told of causes is not that of {len(medoid)} causes")
    rates = [FailureCount(k, n, *wilson(k, n)) if n else None for k, n in counts]
    return replace(found, name=name, rule=rule, failure_rate=rates)
