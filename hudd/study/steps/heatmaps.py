"""Relevance of every error at every layer, streamed into shards."""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
import torch

from hudd.data import batches
from hudd.errors import HuddError
from hudd.lrp import LRP
from hudd.progress import progress
from hudd.store import ShardSet, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import test
from hudd.study.study import AFTER, Study

_CONSERVATION = "conservation of "


def fingerprint(study: Study) -> str:
    """Everything that the heatmaps depend on."""
    settings = study.settings
    layers = None if settings.layers is None else list(settings.layers)
    return digest(
        "heatmaps", test.fingerprint(study, "test"), settings.effective_rules, settings.effective_pool, layers
    )


def run(study: Study, *, checksums: bool = False) -> None:
    """Compute the shards that are missing and show them all as one dataset a layer.

    Parameters
    ----------
    study : Study
        The study.
    checksums : bool
        Read every shard and compute the damaged ones again, also where the step is done.

    Raises
    ------
    HuddError
        If the DNN makes no error.
    """
    mark, started = fingerprint(study), time.perf_counter()
    errors = study.errors
    if not len(errors):
        count = len(study.split("test").label)
        raise HuddError(
            f"the DNN makes no error on the {count} images of the test set, so there is nothing to explain; "
            "test it on harder images."
        )
    done = study.is_done("heatmaps", mark)
    if done and not _shards(study, mark).missing(checksums=checksums):
        return
    lrp = study.lrp()
    layers = lrp.prepare(study.source("test").load(errors[:1]))
    shards = _compute(study, lrp, mark)
    if done:  # a damaged shard was mended: the same numbers, so nothing that was made from them changes
        return
    pool = study.settings.effective_pool
    with study.committing("heatmaps", mark, started) as h5:
        study.forget(h5, *AFTER["heatmaps"], "heatmaps")
        for index, layer in enumerate(layers):
            group = h5.require_group(f"layers/{layer}")
            group.attrs["index"] = index
            layout = shards.virtual_layout(layer, study.path)
            about = f"relevance at the input of '{layer}' for the predicted class, pooling {pool}"
            dims = ("error", *_axes(pool, len(layout.shape) - 1))
            write_dataset(group, "relevance", layout, dims=dims, units="logit", description=about)
            layout = shards.virtual_layout(_CONSERVATION + layer, study.path)
            about = "relative deviation of the relevance's sum from the explained output"
            write_dataset(group, "conservation", layout, dims=("error",), description=about)
        h5["layers"].attrs["rows_per_shard"] = shards.rows_per_shard
    study.keep_shards(shards.directory)


def _shards(study: Study, mark: str) -> ShardSet:
    with study.file.reading() as h5:
        rows_per_shard = int(h5["layers"].attrs["rows_per_shard"])
    return ShardSet(study.shards("heatmaps", mark), len(study.errors), rows_per_shard, mark)


def _compute(study: Study, lrp: LRP, mark: str) -> ShardSet:
    errors, prediction = study.errors, study.split("test").prediction
    source, settings = study.source("test"), study.settings
    first = _arrays(lrp, source.load(errors[:1]), prediction[errors[:1]])
    row_bytes = sum(array.nbytes for array in first.values())
    shards = ShardSet(study.shards("heatmaps", mark), len(errors), ShardSet.rows_for(row_bytes), mark)
    missing = shards.missing()
    with progress("heatmaps", sum(stop - start for start, stop in missing)) as advance:
        for start, stop in missing:
            parts = defaultdict(list)
            for rows, images in batches(
                source, errors[start:stop], settings.batch_size, workers=settings.workers
            ):
                for name, array in _arrays(lrp, images, prediction[rows]).items():
                    parts[name].append(array)
                advance(len(rows))
            shards.write(start, {name: np.concatenate(arrays) for name, arrays in parts.items()})
    return shards


def _arrays(lrp: LRP, images: torch.Tensor, target: np.ndarray) -> dict[str, np.ndarray]:
    """Heatmaps and conservation of some images, by dataset name."""
    relevance = lrp.attribute(images, target=torch.from_numpy(target))
    arrays = {}
    for layer, heatmap in relevance.layers.items():
        arrays[layer] = heatmap.float().cpu().numpy()
        deviation = torch.as_tensor(relevance.conservation[layer])
        arrays[_CONSERVATION + layer] = deviation.float().cpu().numpy()
    return arrays


def _axes(pool: str, count: int) -> tuple[str, ...]:
    """Names of a heatmap's dimensions after the first."""
    if pool == "space" and count == 2:
        return ("row", "column")
    named = {0: (), 1: ("unit",), 2: ("token", "feature"), 3: ("channel", "row", "column")}
    return named.get(count, tuple(f"axis_{number}" for number in range(1, count + 1)))
