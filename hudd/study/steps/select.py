"""The unsafe set: improvement images closest to the clusters at the chosen layer."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hudd.errors import UsageError
from hudd.progress import progress
from hudd.selection import (
    STRATEGIES,
    Candidates,
    ClosestMembers,
    UnsafeSet,
    closest_members,
    cluster_budgets,
    unsafe_set,
)
from hudd.store import ShardSet, read_whole, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.study.step import Step
from hudd.study.steps import cluster, doubt, heatmaps, test
from hudd.study.steps.relevance import Relevance

_ROWS_PER_SHARD = 1024


def nearest_fingerprint(inputs: Inputs) -> str:
    """Everything that the distances of the improvement images to the clusters depend on."""
    improvement = test.fingerprint(inputs, "improvement")
    return digest("nearest", cluster.fingerprint(inputs), improvement, inputs.settings.choices.unit_norm)


def fingerprint(inputs: Inputs) -> str:
    """Everything that the selection depends on."""
    chosen = inputs.settings
    how = [chosen.preset, chosen.factor, chosen.budget, chosen.seed, chosen.strategy]
    if (mark := STRATEGIES.mark(chosen.strategy)) is not None:
        how.append(mark)
    return digest("select", nearest_fingerprint(inputs), how)


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Measure the improvement images that are not measured yet, then select.

    Raises
    ------
    UsageError
        If the study has no improvement set.
    """
    if inputs.settings.improvement is None:
        raise UsageError(
            f"'{journal.path}' has no improvement set to select from; give one with `improvement`."
        )
    mark, started = fingerprint(inputs), time.perf_counter()
    nearest_mark = nearest_fingerprint(inputs)
    rows = len(inputs.source("improvement"))
    directory, algorithm = journal.shards("nearest", nearest_mark), journal.algorithm("select", mark)
    shards = ShardSet(directory, rows, _ROWS_PER_SHARD, nearest_mark, algorithm=algorithm)
    if journal.is_done("select", mark):
        if not journal.lead(lambda: shards.missing(checksums=checksums)):
            return
        journal.lead(lambda: journal.check_algorithm("select"))
    closest = _measure(inputs, journal, shards)
    if journal.is_done("select", mark):
        return
    settings = inputs.settings
    candidates = Candidates(
        closest,
        inputs.results.clusters.label,
        entropy_of(inputs),
        preset=settings.preset,
        shares=_shares(settings, closest),
        estimate=partial(doubt.failure, inputs, journal),
    )
    budget = settings.budget or min(sum((candidates.shares or {}).values()), len(candidates))
    unsafe = unsafe_set(settings.strategy, candidates, budget, seed=settings.seed)

    def commit() -> None:
        with journal.committing("select", mark, started) as h5:
            journal.forget(h5, "select")
            journal.forget_after(h5, "select")
            _write(h5.create_group("selection"), unsafe, closest, shards, journal.path)
        journal.keep_shards(shards.directory)

    journal.lead(commit)


def entropy_of(inputs: Inputs) -> np.ndarray:
    """Return (M,) how doubtful the improvement images are by the DNN's own word; all alike where it says nothing."""
    entropy = inputs.results.split("improvement").entropy
    return entropy if inputs.task.has_entropy else np.ones_like(entropy)


def _shares(settings: Settings, closest: ClosestMembers) -> dict[int, int] | None:
    """Images for each cluster, where there is no budget for all of them."""
    if settings.budget is not None:
        return None
    factor = settings.choices.selection_factor if settings.factor is None else settings.factor
    return dict(zip(closest.clusters.tolist(), cluster_budgets(closest.size, factor).tolist()))


def read_closest(results: Results) -> ClosestMembers:
    """Return the distances that the selection was made from."""
    with results.file.reading() as h5:
        group = h5["selection/nearest"]
        names = ("clusters", "size", "distance", "member", "reach")
        return ClosestMembers(**{name: read_whole(group[name]) for name in names})


def _measure(inputs: Inputs, journal: Journal, shards: ShardSet) -> ClosestMembers:
    """Distance of every improvement image to the closest member of each cluster, shard by shard."""
    missing, labels = journal.lead(shards.missing), inputs.results.clusters.label
    unit_norm = inputs.settings.choices.unit_norm
    if missing:
        journal.lead(lambda: journal.check_algorithm("layers"))  # which compares with what that has made
    with heatmaps.at(inputs, journal, [inputs.results.chosen_layer]) as stored:
        members = stored[inputs.results.chosen_layer]

        def work() -> None:
            mine = journal.ranks.mine(missing)
            with progress("improvement set", sum(stop - start for start, stop in mine)) as advance:
                blocks = Relevance(inputs, "improvement", advance)
                for start, stop in mine:
                    rows = blocks.of(np.arange(start, stop))
                    found = closest_members(rows, members, labels, unit_norm=unit_norm, reach=False)
                    shards.write(start, {"distance": found.distance, "member": found.member})

        journal.ranks.each(work)
        frame = closest_members([], members, labels, unit_norm=unit_norm)
    distance = np.concatenate([block for _, block in shards.read("distance")])
    member = np.concatenate([block for _, block in shards.read("member")])
    return ClosestMembers(frame.clusters, frame.size, distance, member, frame.reach)


def _write(
    group: h5py.Group, unsafe: UnsafeSet, closest: ClosestMembers, shards: ShardSet, study: Path
) -> None:
    descriptions = {
        "image": "row of the improvement split",
        "cluster": "cluster that the image was selected for",
        "distance": "Euclidean distance to that cluster's closest member",
        "rank": "0 where that is the image's nearest cluster, 1 the second nearest, and so on",
        "radius_ratio": "distance over the largest distance of a member to its closest fellow",
        "outside": "farther from the cluster than its members are from each other",
    }
    for name, about in descriptions.items():
        write_dataset(group, name, getattr(unsafe, name), dims=("selected",), description=about)
    nearest = group.create_group("nearest")
    about = "cluster, in order of first appearance among the errors"
    write_dataset(nearest, "clusters", closest.clusters, dims=("clusters",), scale=True, description=about)
    write_dataset(nearest, "size", closest.size, dims=("clusters",), description="number of members")
    about = "largest distance of a member to its closest fellow"
    write_dataset(nearest, "reach", closest.reach, dims=("clusters",), description=about)
    both = ("image", "clusters")
    layout = shards.virtual_layout("distance", study)
    about = "distance of the improvement image to the cluster's closest member"
    write_dataset(nearest, "distance", layout, dims=both, description=about)
    layout = shards.virtual_layout("member", study)
    write_dataset(nearest, "member", layout, dims=both, description="error row of that member")


STEP = Step(
    name="select",
    requires=("cluster", "test/improvement"),
    outputs={"select": ("selection",)},
    shards=("nearest", "doubt"),
    run=run,
    fingerprint=lambda inputs, journal: {"select": fingerprint(inputs)},
    possible=lambda results: results.settings.improvement is not None,
)
