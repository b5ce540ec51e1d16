"""Retrain the DNN on the training set and a bag of labelled improvement images, and test it again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.progress import progress
from hudd.retraining import CachedImages, Retraining, TrainingConfig, retrain
from hudd.selection import balance, shuffled_order, smart_bagging, strategies
from hudd.store import drop, sweep, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.steps import doubt, select, test
from hudd.study.study import Study


def run(study: Study, *, checksums: bool = False) -> None:
    """Retrain by every strategy and run that is not there yet.

    Raises
    ------
    UsageError
        If the study has no training set.
    HuddError
        If nothing was selected, or an image to retrain on has no label.
    """
    if study.settings.train is None:
        raise UsageError(f"'{study.path}' has no training set to retrain on; give one with --train.")
    if not len(study.selection):
        raise HuddError(
            "no image was selected (every cluster has a single member), so there is nothing to retrain on."
        )
    runs = [(mode, number) for mode in study.settings.compared for number in range(study.settings.runs)]
    bags = {(mode, number): bag(study, mode, study.settings.seed + number) for mode, number in runs}
    study.lead(lambda: _check_labels(study, [rows for pair in bags.values() for rows in pair]))
    images = {split: CachedImages(study.source(split)) for split in ("train", "test", "improvement")}
    for (mode, number), (labelled, rows) in bags.items():
        _one(study, images, mode, number, labelled, rows)
    stale = {
        f"{mode}/{number}" for mode, found in study.retraining.items() for number in range(len(found))
    } - {f"{mode}/{number}" for mode, number in runs}
    if stale:
        study.lead(lambda: _drop(study, stale))
    study.lead(lambda: _clear(study))


def _clear(study: Study) -> None:
    """Remove what a kill left behind: checkpoints of finished runs, and weights that were not renamed yet."""
    models = study.path / "models"
    for left in models.glob("*-*-*.checkpoint*"):
        left.unlink()
    sweep(models)


def _drop(study: Study, stale: set[str]) -> None:
    with study.file.writing() as h5:
        drop(h5, [f"{place}/{key}" for key in stale for place in ("retraining", "steps/retrain")])
        for mode in {key.split("/")[0] for key in stale} - set(study.settings.compared):
            drop(h5, [f"retraining/{mode}", f"steps/retrain/{mode}"])


def bag(study: Study, mode: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a strategy pays labels for and what it retrains on; all budgets and bags have one size.

    The strategy that the study selected by keeps its selection, since its labels are paid for; only the bag is
    drawn anew with every seed. The others select anew too.

    Parameters
    ----------
    study : Study
        With a selection.
    mode : str
        See :data:`hudd.selection.STRATEGIES`.
    seed : int
        Seed of the draws.

    Returns
    -------
    labelled, bag : np.ndarray
        int64 rows of the improvement set, the second with repeats.
    """
    unsafe, improvement, settings = study.selection, study.split("improvement"), study.settings
    if settings.choices.bagging == "hudd-2021":
        order = shuffled_order(len(improvement.label), settings.seed)
        factor = settings.factor or settings.choices.selection_factor
        own = smart_bagging(select.read_closest(study), unsafe, factor=factor, order=order, seed=seed)
    else:
        own = balance(unsafe, seed=seed)
    if mode == settings.strategy:
        return unsafe.image, own
    others = strategies(
        [mode],
        select.read_closest(study),
        study.clusters.label,
        budget=len(unsafe),
        entropy=improvement.entropy,
        correct=improvement.prediction == study.labels,
        failure=doubt.failure(study) if mode == "hybrid" else None,
        size=len(own),
    )
    return others[mode](seed)


def wanted(study: Study) -> np.ndarray:
    """Rows of the improvement set that need a label for all that is to be retrained by, the selection first."""
    settings = study.settings
    parts = [study.selection.image]
    for mode in settings.compared:
        seeds = range(settings.seed, settings.seed + settings.runs) if mode != settings.strategy else ()
        parts += [bag(study, mode, seed)[0] for seed in seeds]
    return np.array(list(dict.fromkeys(np.concatenate(parts).tolist())), np.int64)


def _check_labels(study: Study, parts: list[np.ndarray]) -> None:
    rows = np.unique(np.concatenate(parts))
    unknown = int((study.labels[rows] < 0).sum())
    if unknown:
        raise HuddError(
            f"{unknown:,} of the {len(rows):,} images to retrain on have no label; write them out with "
            f"'hudd label {study.path} --export labels.csv', fill it in and read it with "
            f"--import.{study.about_labels_aside()}"
        )


def _one(
    study: Study,
    images: dict[str, CachedImages],
    mode: str,
    number: int,
    labelled: np.ndarray,
    rows: np.ndarray,
) -> None:
    key, started, seed = f"{mode}/{number}", time.perf_counter(), study.settings.seed + number
    config, labels = TrainingConfig(**study.settings.training), study.labels
    data = [test.fingerprint(study, split) for split in ("train", "test", "improvement")]
    mark = digest("retrain", mode, data, config.describe(), seed, rows, labels[rows], study.clusters.label)
    models = study.path / "models"
    weights = models / f"{mode}-0.safetensors" if number == 0 else None  # of the others, figures are enough
    there = study.lead(lambda: weights is None or weights.is_file())
    if there and study.is_done(f"retrain/{key}", mark):
        return
    checkpoint = models / f"{mode}-{number}-{mark[:16]}.checkpoint"
    others = [path for path in models.glob(f"{mode}-{number}-*.checkpoint") if path != checkpoint]
    study.lead(lambda: _remove(others))
    with progress(
        f"retraining {mode} {number + 1}/{study.settings.runs}", config.epochs, unit="epochs"
    ) as advance:
        found = retrain(
            study.model.module,
            images["train"],
            images["improvement"],
            rows,
            config,
            seed=seed,
            train_labels=study.source("train").labels,
            improvement_labels=labels,
            test=images["test"],
            test_labels=study.source("test").labels,
            before=study.split("test").correct,
            clusters=study.clusters.label,
            checkpoint=checkpoint,
            weights=weights,
            on_epoch=lambda entry: advance(1),
        )

    def commit() -> None:
        with study.committing(f"retrain/{key}", mark, started) as h5:
            drop(h5, [f"retraining/{key}"])
            group = h5.create_group(f"retraining/{key}")
            group.attrs.update(seed=seed, labelled=len(np.unique(labelled)))
            _write(group, found, rows, weights)
        checkpoint.unlink(missing_ok=True)

    study.lead(commit)


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _write(group: h5py.Group, found: Retraining, rows: np.ndarray, weights: Path | None) -> None:
    assert found.change is not None  # there always is a test set
    numbers: dict[str, Any] = found.change.to_dict()
    recovery = numbers.pop("recovery")
    best, early = found.fit.best_epoch, found.fit.stopped_early
    group.attrs.update(**numbers, best_epoch=best, stopped_early=early)
    if weights is not None:
        group.attrs["weights"] = weights.name
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
