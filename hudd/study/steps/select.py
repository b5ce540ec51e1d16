"""The unsafe set: improvement images closest to the clusters at the chosen layer."""

from __future__ import annotations

import time

import h5py
import numpy as np

from hudd.errors import UsageError
from hudd.progress import progress
from hudd.selection import ClosestMembers, UnsafeSet, closest_members, sampled_doubt, select_unsafe
from hudd.store import ShardSet, read_whole, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import cluster, doubt, heatmaps, test
from hudd.study.steps.relevance import Relevance
from hudd.study.study import AFTER, Study

_ROWS_PER_SHARD = 1024


def nearest_fingerprint(study: Study) -> str:
    """Everything that the distances of the improvement images to the clusters depend on."""
    improvement = test.fingerprint(study, "improvement")
    return digest("nearest", cluster.fingerprint(study), improvement, study.settings.choices.unit_norm)


def fingerprint(study: Study) -> str:
    """Everything that the selection depends on."""
    chosen = study.settings
    how = [chosen.preset, chosen.factor, chosen.budget, chosen.seed, chosen.strategy]
    return digest("select", nearest_fingerprint(study), how)


def run(study: Study, *, checksums: bool = False) -> None:
    """Measure the improvement images that are not measured yet, then select.

    Raises
    ------
    UsageError
        If the study has no improvement set.
    """
    if study.settings.improvement is None:
        raise UsageError(
            f"'{study.path}' has no improvement set to select from; give one with --improvement."
        )
    mark, started = fingerprint(study), time.perf_counter()
    nearest_mark = nearest_fingerprint(study)
    rows = len(study.source("improvement"))
    shards = ShardSet(study.shards("nearest", nearest_mark), rows, _ROWS_PER_SHARD, nearest_mark)
    if study.is_done("select", mark) and not study.lead(lambda: shards.missing(checksums=checksums)):
        return
    closest = _measure(study, shards)
    if study.is_done("select", mark):
        return
    settings = study.settings
    unsafe = select_unsafe(
        closest,
        study.clusters.label,
        preset=settings.preset,
        factor=settings.factor,
        budget=settings.budget,
        uncertainty=uncertainty(study, settings.seed) if settings.strategy == "hybrid" else None,
        seed=settings.seed,
    )

    def commit() -> None:
        with study.committing("select", mark, started) as h5:
            study.forget(h5, *AFTER["select"], "select")
            _write(h5.create_group("selection"), unsafe, closest, shards, study)
        study.keep_shards(shards.directory)

    study.lead(commit)


def uncertainty(study: Study, seed: int) -> np.ndarray:
    """Draw the hybrid's scores of the improvement images, see :func:`hudd.selection.sampled_doubt`."""
    return sampled_doubt(doubt.failure(study) * study.split("improvement").entropy, seed=seed)


def read_closest(study: Study) -> ClosestMembers:
    """Return the distances that the selection was made from."""
    with study.file.reading() as h5:
        group = h5["selection/nearest"]
        names = ("clusters", "size", "distance", "member", "reach")
        return ClosestMembers(**{name: read_whole(group[name]) for name in names})


def _measure(study: Study, shards: ShardSet) -> ClosestMembers:
    """Distance of every improvement image to the closest member of each cluster, shard by shard."""
    missing, labels = study.lead(shards.missing), study.clusters.label
    unit_norm = study.settings.choices.unit_norm
    with heatmaps.at(study, [study.chosen_layer]) as stored:
        members = stored[study.chosen_layer]

        def work() -> None:
            mine = study.ranks.mine(missing)
            with progress("improvement set", sum(stop - start for start, stop in mine)) as advance:
                blocks = Relevance(study, "improvement", advance)
                for start, stop in mine:
                    rows = blocks.of(np.arange(start, stop))
                    found = closest_members(rows, members, labels, unit_norm=unit_norm, reach=False)
                    shards.write(start, {"distance": found.distance, "member": found.member})

        study.ranks.each(work)
        frame = closest_members([], members, labels, unit_norm=unit_norm)
    distance = np.concatenate([block for _, block in shards.read("distance")])
    member = np.concatenate([block for _, block in shards.read("member")])
    return ClosestMembers(frame.clusters, frame.size, distance, member, frame.reach)


def _write(
    group: h5py.Group, unsafe: UnsafeSet, closest: ClosestMembers, shards: ShardSet, study: Study
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
    layout = shards.virtual_layout("distance", study.path)
    about = "distance of the improvement image to the cluster's closest member"
    write_dataset(nearest, "distance", layout, dims=both, description=about)
    layout = shards.virtual_layout("member", study.path)
    write_dataset(nearest, "member", layout, dims=both, description="error row of that member")
