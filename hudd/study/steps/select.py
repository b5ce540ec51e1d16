"""The unsafe set: improvement images closest to the clusters at the chosen layer."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.data.prints import Prints
from hudd.data.split import groups_alike
from hudd.errors import UsageError
from hudd.selection import (
    STRATEGIES,
    Candidates,
    ClosestMembers,
    UnsafeSet,
    cluster_budgets,
    listed_images,
    select_unsafe,
    selected,
    with_clusters,
)
from hudd.store import ShardSet, read_whole, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.study.step import Step
from hudd.study.steps import doubt, embedding, nearest


def fingerprint(inputs: Inputs) -> str:
    """Everything that the selection depends on."""
    chosen = inputs.settings
    how: list[Any] = [chosen.preset, chosen.factor, chosen.budget, chosen.seed, chosen.effective_strategy]
    if chosen.effective_strategy == "cause":
        how.append(chosen.cause)
    if chosen.effective_strategy == "given":
        how.append(_given(inputs).tolist())
    if (mark := STRATEGIES.mark(chosen.effective_strategy)) is not None:
        how.append(mark)
    return digest("select", nearest.fingerprint(inputs, "improvement"), how)


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
    shards = nearest.shards_of(inputs, journal, "improvement", "nearest", "select", mark)
    if journal.is_done("select", mark):
        if not journal.lead(lambda: shards.missing(checksums=checksums)):
            return
        journal.lead(lambda: journal.check_algorithm("select"))
    closest = nearest.measure(inputs, journal, "improvement", shards)
    if journal.is_done("select", mark):
        return
    settings = inputs.settings
    candidates = replace(
        candidates_of(inputs, journal, closest), preset=settings.preset, shares=_shares(settings, closest)
    )
    strategy = settings.effective_strategy
    budget = _budget(settings, candidates)
    if budget:
        found = selected(strategy, candidates, budget, seed=settings.seed)
    else:  # no cluster has two members
        found = select_unsafe(closest, candidates.labels, budget=0)
    unsafe = with_clusters(found, strategy, candidates)

    def commit() -> None:
        with journal.committing("select", mark, started) as h5:
            journal.forget(h5, "select")
            journal.forget_after(h5, "select")
            _write(h5.create_group("selection"), unsafe, closest, shards, journal.path)
            h5["selection"].attrs["balanced"] = isinstance(found, UnsafeSet)
        journal.keep_shards(shards.directory)

    journal.lead(commit)


def _budget(settings: Settings, candidates: Candidates) -> int:
    """Images to select in all; for one cause, the shares of its clusters; of a list, all."""
    if settings.budget is not None:
        return settings.budget
    shares = candidates.shares or {}
    if settings.effective_strategy == "given" and candidates.given is not None:
        return len(candidates.given)
    if settings.effective_strategy == "cause":
        own = set(candidates.labels[candidates.cause_of_error == candidates.target].tolist())
        return max(1, min(sum(share for cluster, share in shares.items() if cluster in own), len(candidates)))
    return min(sum(shares.values()), len(candidates))


def _given(inputs: Inputs) -> np.ndarray:
    """Rows of the images in the list that the settings name."""
    if inputs.settings.images is None:
        raise UsageError("strategy 'given' selects the images of a list; give its file as `images`.")
    return listed_images(inputs.settings.images, inputs.source("improvement").paths)


def candidates_of(inputs: Inputs, journal: Journal, closest: ClosestMembers) -> Candidates:
    """Gather what is known of the improvement images; what takes long is made when a strategy asks for it."""
    results, causes = inputs.results, inputs.results.causes
    return Candidates(
        closest,
        results.clusters.label,
        entropy_of(inputs),
        estimate=partial(doubt.failure, inputs, journal),
        prediction=results.split("improvement").prediction,
        embed=partial(embedding.embedding, inputs, journal),
        cause=causes.of_error,
        common=causes.common,
        alike=partial(alike, results),
        target=inputs.settings.cause,
        given=_given(inputs) if inputs.settings.images is not None else None,
    )


def alike(results: Results, rows: np.ndarray) -> np.ndarray:
    """Groups of the improvement images of some rows that look alike."""
    with results.file.reading() as h5:
        group = h5["splits/improvement"]
        if "thumbnail" not in group:
            return np.arange(len(rows))
        return groups_alike(Prints(group["pixels"][...][rows], group["thumbnail"][...][rows]))


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


def is_balanced(results: Results) -> bool:
    """Whether the images were selected for clusters, which then have equal shares of the bag."""
    with results.file.reading() as h5:
        return bool(h5["selection"].attrs.get("balanced", True))


def read_closest(results: Results) -> ClosestMembers:
    """Return the distances that the selection was made from."""
    with results.file.reading() as h5:
        group = h5["selection/nearest"]
        names = ("clusters", "size", "distance", "member", "reach")
        return ClosestMembers(**{name: read_whole(group[name]) for name in names})


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
    distances = group.create_group("nearest")
    about = "cluster, in order of first appearance among the errors"
    write_dataset(distances, "clusters", closest.clusters, dims=("clusters",), scale=True, description=about)
    write_dataset(distances, "size", closest.size, dims=("clusters",), description="number of members")
    about = "largest distance of a member to its closest fellow"
    write_dataset(distances, "reach", closest.reach, dims=("clusters",), description=about)
    both = ("image", "clusters")
    layout = shards.virtual_layout("distance", study)
    about = "distance of the improvement image to the cluster's closest member"
    write_dataset(distances, "distance", layout, dims=both, description=about)
    layout = shards.virtual_layout("member", study)
    write_dataset(distances, "member", layout, dims=both, description="error row of that member")


STEP = Step(
    name="select",
    requires=("cluster", "test/improvement"),
    outputs={"select": ("selection",)},
    version=2,  # 2: by-cause goes by the probability of failure too; k-means fits 10,000 rows at most
    shards=("nearest", "doubt", "embedding"),
    run=run,
    fingerprint=lambda inputs, journal: {"select": fingerprint(inputs)},
    possible=lambda results: results.settings.improvement is not None,
)
