"""How far the images of a set are from the clusters, by what was clustered of the errors."""

from __future__ import annotations

import numpy as np

from hudd.progress import progress
from hudd.selection import ClosestMembers, closest_members
from hudd.store import ShardSet
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.steps import cluster, heatmaps, test
from hudd.study.steps.relevance import Relevance

_ROWS_PER_SHARD = 1024


def fingerprint(inputs: Inputs, split: str) -> str:
    """Everything that the distances of a split's images to the clusters depend on."""
    tested, unit_norm = test.fingerprint(inputs, split), inputs.settings.choices.unit_norm
    return digest("nearest", cluster.fingerprint(inputs), tested, unit_norm)


def shards_of(inputs: Inputs, journal: Journal, split: str, kind: str, key: str, mark: str) -> ShardSet:
    """Return the shards of the distances, of such a kind; they are part of the result `key` with such a mark."""
    own = fingerprint(inputs, split)
    directory, algorithm = journal.shards(kind, own), journal.algorithm(key, mark)
    return ShardSet(directory, len(inputs.source(split)), _ROWS_PER_SHARD, own, algorithm=algorithm)


def measure(inputs: Inputs, journal: Journal, split: str, shards: ShardSet) -> ClosestMembers:
    """Distance of every image of a split to the closest member of each cluster, shard by shard."""
    missing, labels = journal.lead(shards.missing), inputs.results.clusters.label
    unit_norm = inputs.settings.choices.unit_norm
    if missing:
        journal.lead(lambda: journal.check_algorithm("layers"))  # which compares with what that has made
    with heatmaps.at(inputs, journal, [inputs.results.chosen_layer]) as stored:
        members = stored[inputs.results.chosen_layer]

        def work() -> None:
            mine = journal.ranks.mine(missing)
            with progress(f"{split} set", sum(stop - start for start, stop in mine)) as advance:
                blocks = Relevance(inputs, split, advance)
                for start, stop in mine:
                    rows = blocks.of(np.arange(start, stop))
                    found = closest_members(rows, members, labels, unit_norm=unit_norm, reach=False)
                    shards.write(start, {"distance": found.distance, "member": found.member})

        journal.ranks.each(work)
        frame = closest_members([], members, labels, unit_norm=unit_norm)
    distance = np.concatenate([block for _, block in shards.read("distance")])
    member = np.concatenate([block for _, block in shards.read("member")])
    return ClosestMembers(frame.clusters, frame.size, distance, member, frame.reach)
