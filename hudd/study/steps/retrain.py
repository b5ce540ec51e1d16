"""Retrain the DNN on the training set and a bag of labelled improvement images, and test it again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.data import ImageSource
from hudd.errors import HuddError, UsageError
from hudd.progress import progress
from hudd.retraining import CachedImages, Retraining, TrainingConfig, retrain
from hudd.selection import balance, smart_bagging, strategies
from hudd.store import drop, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import select, test
from hudd.study.study import Study


def run(study: Study, *, checksums: bool = False) -> None:
    """Retrain every mode and run that is not there yet.

    Raises
    ------
    UsageError
        If the study has no training set.
    HuddError
        If nothing was selected, or an image of a bag has no label.
    """
    if study.settings.train is None:
        raise UsageError(f"'{study.path}' has no training set to retrain on; give one with --train.")
    if not len(study.selection):
        raise HuddError(
            "no image was selected (every cluster has a single member), so there is nothing to retrain on."
        )
    wanted = {f"{mode}/{number}" for mode in study.settings.modes for number in range(study.settings.runs)}
    for mode in study.settings.modes:
        for number in range(study.settings.runs):
            _one(study, mode, number)
    stale = {
        f"{mode}/{number}" for mode, runs in study.retraining.items() for number in range(len(runs))
    } - wanted
    if stale:
        with study.file.writing() as h5:
            drop(h5, [f"{place}/{key}" for key in stale for place in ("retraining", "steps/retrain")])
            for mode in {key.split("/")[0] for key in stale} - set(study.settings.modes):
                drop(h5, [f"retraining/{mode}", f"steps/retrain/{mode}"])


def bag(study: Study, mode: str, seed: int) -> np.ndarray:
    """Return the rows of the improvement set, with repeats, that a mode retrains on; all bags have one size.

    Parameters
    ----------
    study : Study
        With a selection.
    mode : str
        See :data:`hudd.selection.STRATEGIES`.
    seed : int
        Seed of the draws.
    """
    unsafe, improvement = study.selection, study.split("improvement")
    if study.settings.choices.bagging == "hudd-2021":
        factor = study.settings.factor or study.settings.choices.selection_factor
        own = smart_bagging(select.read_closest(study), unsafe, factor=factor, seed=seed)
    else:
        own = balance(unsafe, seed=seed)
    if mode == "hudd":
        return own
    others = strategies(
        [mode],
        select.read_closest(study),
        study.clusters.label,
        budget=len(unsafe),
        entropy=improvement.entropy,
        correct=improvement.prediction == study.labels,
        size=len(own),
    )
    return others[mode](seed)[1]


def decoded(source: ImageSource) -> CachedImages:
    """Return the images, each decoded once for all epochs."""
    images = CachedImages(source)
    images.load(
        np.arange(1)
    )  # its memory must not be made in torch's inference mode, where nothing can be trained on
    return images


def _one(study: Study, mode: str, number: int) -> None:
    key, started, seed = f"{mode}/{number}", time.perf_counter(), study.settings.seed + number
    rows, labels = bag(study, mode, seed), study.labels
    unknown = np.unique(rows[labels[rows] < 0])
    if len(unknown):
        raise HuddError(
            f"{len(unknown)} of the {len(np.unique(rows))} images to retrain on ({mode}) have no label; write "
            f"them out with 'hudd label {study.path} --export labels.csv', fill it in and read it with --import."
        )
    config = TrainingConfig(**study.settings.training)
    data = (
        test.fingerprint(study, "train"),
        test.fingerprint(study, "test"),
        test.fingerprint(study, "improvement"),
    )
    mark = digest("retrain", mode, data, config.describe(), seed, rows, labels[rows], study.clusters.label)
    if study.is_done(f"retrain/{key}", mark):
        return
    models = study.path / "models"
    checkpoint, weights = (
        models / f"{mode}-{number}-{mark[:16]}.checkpoint",
        models / f"{mode}-{number}.safetensors",
    )
    for older in models.glob(f"{mode}-{number}-*.checkpoint"):
        if older != checkpoint:
            older.unlink()
    with progress(
        f"retraining {mode} {number + 1}/{study.settings.runs}", config.epochs, unit="epochs"
    ) as advance:
        found = retrain(
            study.model.module,
            decoded(study.source("train")),
            decoded(study.source("improvement")),
            rows,
            config,
            seed=seed,
            train_labels=study.source("train").labels,
            improvement_labels=labels,
            test=study.source("test"),
            before=study.split("test").correct,
            clusters=study.clusters.label,
            checkpoint=checkpoint,
            weights=weights,
            on_epoch=lambda entry: advance(1),
        )
    with study.committing(f"retrain/{key}", mark, started) as h5:
        drop(h5, [f"retraining/{key}"])
        _write(h5.create_group(f"retraining/{key}"), found, rows, weights)
    checkpoint.unlink(missing_ok=True)


def _write(group: h5py.Group, found: Retraining, rows: np.ndarray, weights: Path) -> None:
    assert found.change is not None  # there always is a test set
    numbers: dict[str, Any] = found.change.to_dict()
    recovery = numbers.pop("recovery")
    best, early = found.fit.best_epoch, found.fit.stopped_early
    group.attrs.update(**numbers, best_epoch=best, stopped_early=early, weights=weights.name)
    clusters = np.array([int(cluster) for cluster in recovery], np.int64)
    shares = np.array(list(recovery.values()))
    dims = ("cluster",)
    write_dataset(group, "cluster", clusters, dims=dims, scale=True, description="root-cause cluster")
    write_dataset(
        group, "recovery", shares, dims=dims, description="share of the cluster's errors that are right now"
    )
    image = ("image",)
    write_dataset(
        group, "before", found.before, dims=image, description="test image was right before retraining"
    )
    write_dataset(group, "after", found.after, dims=image, description="test image is right after retraining")
    about = "row of the improvement split, with repeats, that was added to the training set"
    write_dataset(group, "bag", rows, dims=("draw",), description=about)
    history = {name: np.array([entry[name] for entry in found.fit.history]) for name in found.fit.history[0]}
    for name, values in history.items():
        if name != "seconds":
            write_dataset(
                group, f"history/{name}", values, dims=("epoch_number",), description=f"{name} of each epoch"
            )
