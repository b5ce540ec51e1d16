"""How likely the DNN fails on each improvement image, from the test images whose heatmaps are like its own."""

from __future__ import annotations

import numpy as np

from hudd.progress import progress
from hudd.selection import failure_rate
from hudd.store import ShardSet
from hudd.study.fingerprint import digest
from hudd.study.steps import cluster, test
from hudd.study.steps.relevance import Relevance
from hudd.study.study import Study

_ROWS_PER_SHARD = 1024
_MOST_TEST_IMAGES, _MEMORY = 5000, 256 << 20  # of the sample of the test set and of its heatmaps
_NEIGHBOURS = 10


def failure(study: Study) -> np.ndarray:
    """Estimate the probability of failure of every improvement image, see :func:`hudd.selection.failure_rate`.

    The heatmaps of the correct test images are not in the study, so they are made here, of a sample of 5,000
    test images, or of as many as fit into 256 MiB. What is computed is kept in shards.

    Returns
    -------
    np.ndarray
        (M,) float64.
    """
    settings, correct = study.settings, study.split("test").correct
    improvement = test.fingerprint(study, "improvement")
    mark = digest("doubt", cluster.fingerprint(study), improvement, settings.choices.unit_norm, settings.seed)
    count = len(study.source("improvement"))
    shards = ShardSet(study.shards("doubt", mark), count, _ROWS_PER_SHARD, mark)
    missing = study.lead(shards.missing)
    if missing:
        sample, heatmaps = _sample(study, correct)

        def work() -> None:
            mine = study.ranks.mine(missing)
            with progress("failure rates", sum(stop - start for start, stop in mine)) as advance:
                blocks = Relevance(study, "improvement", advance)
                for start, stop in mine:
                    rate = failure_rate(
                        blocks.of(np.arange(start, stop)),
                        heatmaps,
                        correct[sample],
                        neighbours=min(_NEIGHBOURS, len(sample)),
                        unit_norm=settings.choices.unit_norm,
                    )
                    shards.write(start, {"failure": rate})

        study.ranks.each(work)
        study.lead(lambda: study.keep_shards(shards.directory))
    return shards.columns(["failure"])["failure"]


def _sample(study: Study, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test set drawn at random, and their heatmaps."""
    relevance = Relevance(study, "test")
    row_bytes = next(relevance.of(np.arange(1))).nbytes
    most = int(np.clip(_MEMORY // row_bytes, 1, _MOST_TEST_IMAGES))
    rows = np.sort(np.random.default_rng([study.settings.seed, 1 << 22]).permutation(len(correct))[:most])
    return rows, np.concatenate(list(relevance.of(rows)))
