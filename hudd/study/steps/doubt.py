"""How likely the DNN fails on each improvement image, from the test images whose heatmaps are like its own."""

from __future__ import annotations

import numpy as np

from hudd.progress import progress
from hudd.selection import failure_rate
from hudd.store import ShardSet
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.steps import cluster, test
from hudd.study.steps.relevance import Relevance

_ROWS_PER_SHARD = 1024
_MOST_TEST_IMAGES, _MEMORY = 5000, 256 << 20  # of the sample of the test set and of its heatmaps
_NEIGHBOURS = 10


def failure(inputs: Inputs, journal: Journal) -> np.ndarray:
    """Estimate the probability of failure of every improvement image, see :func:`hudd.selection.failure_rate`.

    The heatmaps of the correct test images are not in the study, so they are made here, of a sample of 5,000
    test images, or of as many as fit into 256 MiB. What is computed is kept in shards.

    Returns
    -------
    np.ndarray
        (M,) float64.
    """
    settings, correct = inputs.settings, inputs.results.split("test").correct
    improvement = test.fingerprint(inputs, "improvement")
    mark = digest(
        "doubt", cluster.fingerprint(inputs), improvement, settings.choices.unit_norm, settings.seed
    )
    count = len(inputs.source("improvement"))
    directory, algorithm = journal.shards("doubt", mark), journal.algorithm("select")
    shards = ShardSet(directory, count, _ROWS_PER_SHARD, mark, algorithm=algorithm)
    missing = journal.lead(shards.missing)
    if missing:
        sample, heatmaps = _sample(inputs, correct)

        def work() -> None:
            mine = journal.ranks.mine(missing)
            with progress("failure rates", sum(stop - start for start, stop in mine)) as advance:
                blocks = Relevance(inputs, "improvement", advance)
                for start, stop in mine:
                    rate = failure_rate(
                        blocks.of(np.arange(start, stop)),
                        heatmaps,
                        correct[sample],
                        neighbours=min(_NEIGHBOURS, len(sample)),
                        unit_norm=settings.choices.unit_norm,
                    )
                    shards.write(start, {"failure": rate})

        journal.ranks.each(work)
        journal.lead(lambda: journal.keep_shards(shards.directory))
    return shards.columns(["failure"])["failure"]


def _sample(inputs: Inputs, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test set drawn at random, and their heatmaps."""
    relevance = Relevance(inputs, "test")
    row_bytes = next(relevance.of(np.arange(1))).nbytes
    most = int(np.clip(_MEMORY // max(1, row_bytes), 1, _MOST_TEST_IMAGES))  # nothing where no column varies
    rows = np.sort(np.random.default_rng([inputs.settings.seed, 1 << 22]).permutation(len(correct))[:most])
    return rows, np.concatenate(list(relevance.of(rows)))
