"""Run the DNN over the splits; its wrong predictions on the test set are the errors to explain."""

from __future__ import annotations

import time

import h5py
import numpy as np
import torch

from hudd.data import ImageSource, batches
from hudd.errors import HuddError
from hudd.progress import progress
from hudd.retraining import Predictions
from hudd.store import drop, write_dataset
from hudd.study.fingerprint import digest, stable_repr
from hudd.study.settings import SPLITS
from hudd.study.study import AFTER, Study


def fingerprint(study: Study, split: str) -> str:
    """Everything that the predictions on `split` depend on."""
    names = study.source(split).class_names
    transform = stable_repr(study.transform)
    return digest("test", study.model_digest, transform, names, study.data_fingerprints[split])


def run(study: Study, *, checksums: bool = False) -> None:
    """Predict every split that the study has."""
    for split in SPLITS:
        if study.settings.data(split) is not None:
            _predict(study, split)


def _predict(study: Study, split: str) -> None:
    mark, started = fingerprint(study, split), time.perf_counter()
    if study.is_done(f"test/{split}", mark):
        return
    source = study.source(split)
    found = _outputs(study, source, split)
    with study.committing(f"test/{split}", mark, started) as h5:
        if split == "test":
            study.forget(h5, *AFTER["test"])
        _write(h5, split, source, found)


def _outputs(study: Study, source: ImageSource, split: str) -> Predictions:
    """Run the DNN over all images, decoded ahead."""
    settings, outputs = study.settings, []
    with progress(f"{split} set", len(source)) as advance, torch.inference_mode():
        for rows, images in batches(source, None, settings.batch_size, workers=settings.workers):
            output = study.model.module(images)
            bad = ~torch.isfinite(output).all(dim=1)
            if bad.any():
                path = source.paths[rows[int(bad.nonzero()[0])]]
                raise HuddError(
                    f"the model's output for '{path}' is not finite; check its weights and the input's scale."
                )
            outputs.append(output.numpy())
            advance(len(rows))
    return Predictions(np.concatenate(outputs))


def _write(h5: h5py.File, split: str, source: ImageSource, found: Predictions) -> None:
    drop(h5, [f"splits/{split}"])
    group = h5.create_group(f"splits/{split}")
    correct = found.prediction == source.labels
    one = ("path",)
    write_dataset(group, "path", source.paths, dims=one, scale=True, description="identifier of the image")
    write_dataset(group, "label", source.labels, dims=one, description="class number, -1 unknown")
    write_dataset(
        group, "prediction", found.prediction, dims=one, description="class number predicted by the DNN"
    )
    write_dataset(group, "correct", correct, dims=one, description="prediction equals label")
    write_dataset(
        group,
        "score",
        found.score.astype("f4"),
        dims=one,
        description="softmax probability of the prediction",
    )
    write_dataset(
        group,
        "entropy",
        found.entropy.astype("f4"),
        dims=one,
        units="nat",
        description="entropy of the softmax output",
    )
    for name, values in source.parameters.items():
        description = f"parameter '{name}' of the image"
        write_dataset(
            group, f"parameters/{name.replace('/', '_')}", values, dims=one, description=description
        )
    if split == "test":
        error = np.flatnonzero(~correct)
        about = "row of the test split that the DNN gets wrong; the row order of everything about errors"
        write_dataset(h5, "error", error, dims=("error",), scale=True, description=about)
        write_dataset(
            h5,
            "class",
            source.class_names,
            dims=("class",),
            scale=True,
            description="class name, by class number",
        )
