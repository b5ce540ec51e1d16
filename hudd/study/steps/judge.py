"""Where the judge images lie among the clusters: what came of each cause is told on images that chose nothing."""

from __future__ import annotations

import time

import numpy as np

from hudd.store import write_dataset
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.steps import nearest


def fingerprint(inputs: Inputs) -> str:
    """Everything that the places of the judge images depend on."""
    return digest("judge", nearest.fingerprint(inputs, "judge"))


def place(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Find the error that is closest to each judge image, by what the errors were clustered by."""
    mark, started = fingerprint(inputs), time.perf_counter()
    shards = nearest.shards_of(inputs, journal, "judge", "judge", "judge", mark)
    if journal.is_done("judge", mark) and not journal.lead(lambda: shards.missing(checksums=checksums)):
        return
    found = nearest.measure(inputs, journal, "judge", shards)
    if journal.is_done("judge", mark):
        return
    rows = np.arange(len(found.distance))
    column = found.distance.argmin(axis=1)
    distance = found.distance[rows, column]

    def commit() -> None:
        with journal.committing("judge", mark, started) as h5:
            journal.forget(h5, "judge")
            journal.forget_after(h5, "judge")
            group = h5.create_group("judge")
            about = "error row of the cluster member that is closest to the judge image"
            write_dataset(
                group, "member", found.member[rows, column], dims=("judge_image",), description=about
            )
            about = "Euclidean distance to that member"
            write_dataset(group, "distance", distance, dims=("judge_image",), description=about)
            about = "no farther from that cluster than its members are from each other"
            inside = distance <= found.reach[column]
            write_dataset(group, "inside", inside, dims=("judge_image",), description=about)
        journal.keep_shards(shards.directory)

    journal.lead(commit)
