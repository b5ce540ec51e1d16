"""What the DNN's last layer takes in and gives out for the improvement images, which strategies spread by."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from hudd.arithmetic import contracting
from hudd.data import batches
from hudd.features.penultimate import penultimate
from hudd.lrp.heads import OutputScale
from hudd.progress import progress
from hudd.retraining import Predictions
from hudd.selection import Embedding
from hudd.store import ShardSet
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.steps import test

_ROWS_PER_SHARD = 1024
_MOST = 512  # numbers a row that are kept, so that 100,000 images take 200 MiB


def embedding(inputs: Inputs, journal: Journal) -> Embedding:
    """Run the DNN over the improvement set once more and keep what enters its last layer, in shards.

    Rows of more than 512 values are projected to 512 at random, which keeps distances (W. B. Johnson and J.
    Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984).

    Raises
    ------
    UsageError
        If the model has no layer whose input could be taken, see :func:`hudd.features.penultimate.penultimate`.
    """
    mark = digest("embedding", test.fingerprint(inputs, "improvement"), inputs.settings.seed)
    count = len(inputs.source("improvement"))
    directory, algorithm = journal.shards("embedding", mark), journal.algorithm("select")
    shards = ShardSet(directory, count, _ROWS_PER_SHARD, mark, algorithm=algorithm)
    missing = journal.lead(shards.missing)

    def work() -> None:
        mine = journal.ranks.mine(missing)
        with progress("last layer", sum(stop - start for start, stop in mine)) as advance:
            for start, stop in mine:
                shards.write(start, _rows(inputs, np.arange(start, stop)))
                advance(stop - start)

    if missing:
        journal.ranks.each(work)
        journal.lead(lambda: journal.keep_shards(shards.directory))
    found = shards.columns(["features", "residual", "margin"])
    return Embedding(**found)


def _rows(inputs: Inputs, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of some images."""
    settings, source = inputs.settings, inputs.source("improvement")
    features, outputs = [], []
    with torch.inference_mode(), contracting(settings.arithmetic):
        for _, images in batches(source, rows, settings.batch_size, workers=settings.workers):
            entering, output = penultimate(inputs.model.module, images.to(inputs.device))
            features.append(entering.float().cpu().numpy())
            outputs.append(inputs.task.keep(output).float().cpu().numpy())
    found = {"features": _projected(np.concatenate(features), settings.seed)}
    if "margin" not in inputs.task.columns:
        return {
            **found,
            "residual": np.zeros((len(rows), 1), "f4"),
            "margin": np.full(len(rows), np.nan, "f4"),
        }
    said = Predictions(np.concatenate(outputs), cast(OutputScale, inputs.output_scale))
    residual = said.probability
    residual[np.arange(len(rows)), said.prediction] -= 1
    return {
        **found,
        "residual": _projected(residual.astype(np.float32), settings.seed),
        "margin": said.margin.astype(np.float32),
    }


def _projected(values: np.ndarray, seed: int) -> np.ndarray:
    width = values.shape[1]
    if width <= _MOST:
        return values
    matrix = np.random.default_rng([seed, width]).standard_normal((width, _MOST), np.float32)
    projected: np.ndarray = values @ (matrix / np.float32(_MOST**0.5))
    return projected
