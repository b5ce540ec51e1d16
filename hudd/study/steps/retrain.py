"""Retrain the DNN on the training set and a bag of labelled improvement images, and test it again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.progress import progress
from hudd.retraining import CachedImages, Retraining, compare_answers, predict, retrain
from hudd.retraining.prediction import Predictions
from hudd.selection import (
    STRATEGIES,
    UnsafeSet,
    bag_size,
    balance,
    bootstrap,
    select_trusted,
    shuffled_order,
    smart_bagging,
    strategies_of,
)
from hudd.store import drop, sweep, write_dataset
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.study.step import Step
from hudd.study.steps import doubt, select, test

_TRUSTED = 0.09  # the estimate where none of ten test images fails is below, where one does above


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Retrain by every strategy and run that is not there yet.

    Raises
    ------
    UsageError
        If the study has no training set.
    HuddError
        If nothing was selected, or an image to retrain on has no label.
    """
    if inputs.settings.train is None:
        raise UsageError(f"'{journal.path}' has no training set to retrain on; give one with `train`.")
    if not len(inputs.results.selection):
        raise HuddError(
            "no image was selected (every cluster has a single member), so there is nothing to retrain on."
        )
    bags = _bags(inputs, journal)
    journal.lead(lambda: _check_labels(inputs, [rows for pair in bags.values() for rows in pair]))
    trusted = _trusted(inputs, journal)
    images = {split: CachedImages(inputs.source(split)) for split in _read(inputs)}
    for (mode, number), (labelled, rows) in bags.items():
        _one(inputs, journal, images, mode, number, labelled, rows, np.setdiff1d(trusted, labelled))
    stale = {
        f"{mode}/{number}"
        for mode, found in inputs.results.retraining.items()
        for number in range(len(found))
    } - {f"{STRATEGIES.label(mode)}/{number}" for mode, number in bags}
    if stale:
        journal.lead(lambda: _drop(inputs, journal, stale))
    journal.lead(lambda: _clear(journal.path / "models"))


def _read(inputs: Inputs) -> tuple[str, ...]:
    """Sets that a retraining reads."""
    judge = ("judge",) if inputs.settings.data("judge") is not None else ()
    return ("train", "test", "improvement", *judge)


def fingerprints(inputs: Inputs, journal: Journal) -> dict[str, str]:
    """Everything that each retraining depends on, by the key of its result."""
    return {
        f"retrain/{STRATEGIES.label(mode)}/{number}": _fingerprint(
            inputs, mode, inputs.settings.seed + number, rows
        )
        for (mode, number), (_, rows) in _bags(inputs, journal).items()
    }


def training_options(settings: Settings) -> dict[str, Any]:
    """Return how a study retrains: plainly, unless asked otherwise, where its preset reproduces the original."""
    plain = {"average": 0.0, "interpolate": 1.0} if settings.choices.bagging == "hudd-2021" else {}
    return plain | settings.training


def _fingerprint(inputs: Inputs, mode: str, seed: int, rows: np.ndarray) -> str:
    results, given = inputs.results, inputs.settings.training
    config = inputs.task.training(training_options(inputs.settings))
    data = [test.fingerprint(inputs, split) for split in _read(inputs)]
    later = {"average", "interpolate"} - set(given)  # not given: the algorithm's version says what was done
    how = {name: value for name, value in config.describe().items() if name not in later}
    asked = [] if inputs.settings.trusted is None else [inputs.settings.trusted]
    clusters = results.clusters.label
    return digest("retrain", mode, data, how, seed, rows, results.labels[rows], clusters, *asked)


def _bags(inputs: Inputs, journal: Journal) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    """What is labelled and retrained on by each strategy in each run, see :func:`bag`."""
    settings = inputs.settings
    return {
        (mode, number): bag(inputs, journal, mode, settings.seed + number)
        for mode in settings.compared
        for number in range(settings.runs)
    }


def _clear(models: Path) -> None:
    """Remove what a kill left behind: checkpoints of finished runs, and weights that were not renamed yet."""
    for left in models.glob("*-*-*.checkpoint*"):
        left.unlink()
    sweep(models)


def _drop(inputs: Inputs, journal: Journal, stale: set[str]) -> None:
    with journal.file.writing() as h5:
        drop(h5, [f"{place}/{key}" for key in stale for place in ("retraining", "steps/retrain")])
        for mode in {key.split("/")[0] for key in stale} - set(
            map(STRATEGIES.label, inputs.settings.compared)
        ):
            drop(h5, [f"retraining/{mode}", f"steps/retrain/{mode}"])


def bag(inputs: Inputs, journal: Journal, mode: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a strategy pays labels for and what it retrains on; all budgets and bags have one size.

    The strategy that the study selected by keeps its selection, since its labels are paid for; only the bag is
    drawn again with every seed. The others select again too.

    Parameters
    ----------
    inputs : Inputs
        Of a study with a selection.
    journal : Journal
        Where probabilities of failure and features of the last layer are kept, which some strategies go by.
    mode : str
        See :data:`hudd.selection.STRATEGIES`.
    seed : int
        Seed of the draws.

    Returns
    -------
    labelled, bag : np.ndarray
        int64 rows of the improvement set, the second with repeats.
    """
    unsafe = inputs.results.selection
    own = _own_bag(inputs, unsafe, seed)
    if mode == inputs.settings.effective_strategy:
        return unsafe.image, own
    known = select.candidates_of(inputs, journal, select.read_closest(inputs.results))
    known = replace(known, correct=_correct(inputs))
    others = strategies_of([mode], known, budget=len(unsafe), size=len(own))
    return others[mode](seed)


def _own_bag(inputs: Inputs, unsafe: UnsafeSet, seed: int) -> np.ndarray:
    """Draw the bag of the images that the study selected."""
    settings, results = inputs.settings, inputs.results
    if settings.choices.bagging == "hudd-2021":
        order = shuffled_order(len(results.split("improvement").label), settings.seed)
        factor = settings.factor or settings.choices.selection_factor
        return smart_bagging(select.read_closest(results), unsafe, factor=factor, order=order, seed=seed)
    if select.is_balanced(results):
        return balance(unsafe, seed=seed)
    size = bag_size(select.read_closest(results), results.clusters.label, len(unsafe), seed=seed)
    return bootstrap(unsafe.image, size, seed=seed, correct=_correct(inputs)[unsafe.image])


def _correct(inputs: Inputs) -> np.ndarray:
    """(M,) bool, whether the DNN is right on the improvement images; not on those without a label."""
    split = inputs.results.split("improvement")
    correct: np.ndarray = (
        split.prediction == inputs.results.labels if inputs.task.has_classes else split.correct
    )
    return correct


def _trusted(inputs: Inputs, journal: Journal) -> np.ndarray:
    """Rows of the improvement set whose predicted classes are labels of the retraining, no more than it has others."""
    bound = inputs.settings.trusted
    if bound is None:
        as_in_paper = inputs.settings.choices.bagging == "hudd-2021"
        bound = _TRUSTED if inputs.task.has_classes and not as_in_paper else 0.0
    if not bound:
        return np.empty(0, np.int64)
    most = len(inputs.source("train"))
    return select_trusted(doubt.failure(inputs, journal), bound, most=most, seed=inputs.settings.seed)


def rows_to_label(inputs: Inputs, journal: Journal) -> np.ndarray:
    """Rows of the improvement set that need a label for all that is to be retrained by, the selection first."""
    settings = inputs.settings
    parts = [inputs.results.selection.image]
    for mode in settings.compared:
        seeds = (
            range(settings.seed, settings.seed + settings.runs) if mode != settings.effective_strategy else ()
        )
        parts += [bag(inputs, journal, mode, seed)[0] for seed in seeds]
    return np.array(list(dict.fromkeys(np.concatenate(parts).tolist())), np.int64)


def _check_labels(inputs: Inputs, parts: list[np.ndarray]) -> None:
    rows = np.unique(np.concatenate(parts))
    unknown = int((inputs.results.labels[rows] < 0).sum())
    if unknown and not inputs.task.has_classes:
        raise HuddError(
            f"{unknown:,} of the {len(rows):,} images to retrain on have no targets; write these into the data of the "
            f"improvement set, and 'hudd run {inputs.path}' goes on."
        )
    export = f"'hudd label {inputs.path} --export labels.csv'"
    if inputs.settings.modes:
        export = f"'hudd label {inputs.path} --for-comparison --export labels.csv'"
    if unknown:
        raise HuddError(
            f"{unknown:,} of the {len(rows):,} images to retrain on have no label; write them out with "
            f"{export}, fill it in and read it with "
            f"'hudd label {inputs.path} --import labels.csv'.{inputs.results.about_labels_aside()}"
        )


def _one(
    inputs: Inputs,
    journal: Journal,
    images: dict[str, CachedImages],
    mode: str,
    number: int,
    labelled: np.ndarray,
    rows: np.ndarray,
    trusted: np.ndarray,
) -> None:
    label = STRATEGIES.label(mode)
    key, started, seed = f"{label}/{number}", time.perf_counter(), inputs.settings.seed + number
    task, results = inputs.task, inputs.results
    config, facts = task.training(training_options(inputs.settings)), results.facts()
    mark = _fingerprint(inputs, mode, seed, rows)
    models = journal.path / "models"
    kept = number == 0 or inputs.settings.keep_runs  # of the others, figures are enough
    weights = models / f"{label}-{number}.safetensors" if kept else None
    there = journal.lead(lambda: weights is None or weights.is_file())
    if there and journal.is_done(f"retrain/{key}", mark):
        return
    if not there and journal.is_done(f"retrain/{key}", mark):
        journal.lead(lambda: journal.check_algorithm(f"retrain/{key}"))
    version = journal.algorithm(f"retrain/{key}", mark)
    by = "" if version == 1 else f"v{version}"
    checkpoint = models / f"{label}-{number}-{mark[:16]}{by}.checkpoint"
    journal.lead(lambda: _remove(set(models.glob(f"{label}-{number}-*.checkpoint")) - {checkpoint}))
    title = f"retraining {mode} {number + 1}/{inputs.settings.runs}"
    with progress(title, config.epochs, unit="epochs") as advance:
        found = retrain(
            inputs.model.module,
            images["train"],
            images["improvement"],
            np.concatenate([rows, trusted]),
            config,
            seed=seed,
            train_labels=task.targets(inputs.source("train"), results.split("train").label),
            improvement_labels=task.targets(inputs.source("improvement"), _labels(results, trusted)),
            test=images["test"],
            before=results.split("test").correct,
            right=partial(task.right, source=inputs.source("test"), facts=facts),
            clusters=results.clusters.label,
            checkpoint=checkpoint,
            weights=weights,
            on_epoch=lambda entry: advance(1),
        )
    judged = _judged(inputs, images, found)

    def commit() -> None:
        with journal.committing(f"retrain/{key}", mark, started) as h5:
            drop(h5, [f"retraining/{key}"])
            group = h5.create_group(f"retraining/{key}")
            group.attrs.update(seed=seed, labelled=len(np.unique(labelled)), trusted=len(trusted))
            _write(group, found, rows, weights)
            _write_off(group, inputs, "test", found.answers)
            _write_judged(group, inputs, judged)
        checkpoint.unlink(missing_ok=True)

    journal.lead(commit)


def _labels(results: Results, trusted: np.ndarray) -> np.ndarray:
    """(M,) labels of the improvement images, of trusted ones the classes that the task took them for."""
    labels = results.labels
    labels[trusted] = results.split("improvement").prediction[trusted]
    return labels


def _judged(inputs: Inputs, images: dict[str, CachedImages], found: Retraining) -> Predictions | None:
    """What the retrained DNN says of the judge images; None without a judge set."""
    return predict(found.model, images["judge"]) if "judge" in images else None


def _remove(files: Iterable[Path]) -> None:
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


def _write_off(group: h5py.Group, inputs: Inputs, split: str, answers: Predictions | None) -> None:
    """Write how far off the retrained DNN is on the images of a split, where the task tells."""
    assert answers is not None  # there always is a test set
    off = inputs.task.measure(answers, inputs.source(split), inputs.results.facts())
    if off is not None:
        about = f"error of each output or landmark after retraining, of a {split} image"
        dims = ("image" if split == "test" else f"{split}_image", "part")
        write_dataset(group, "off", off.astype(np.float32), dims=dims, description=about)


def _write_judged(run: h5py.Group, inputs: Inputs, answers: Predictions | None) -> None:
    """Write what became of the judge set, which nothing was chosen by."""
    if answers is None:
        return
    after = inputs.task.right(answers, source=inputs.source("judge"), facts=inputs.results.facts())
    before = inputs.results.split("judge").correct
    group, numbers = run.create_group("judge"), compare_answers(before, after).to_dict()
    group.attrs.update({name: value for name, value in numbers.items() if name != "recovery"})
    for name, right in (("before", before), ("after", after)):
        about = f"judge image is correctly classified {name} retraining"
        write_dataset(group, name, right, dims=("judge_image",), description=about)
    _write_off(group, inputs, "judge", answers)


def _possible(results: Results) -> bool:
    """Whether there is something to retrain on, and everything that was selected has a label."""
    if results.settings.train is None or results.settings.improvement is None or not len(results.selection):
        return False
    return bool((results.labels[results.selection.image] >= 0).all())


STEP = Step(
    name="retrain",
    requires=("select", "test/test", "test/train", "test/improvement", "test/judge"),
    outputs={"retrain": ("retraining",)},
    version=3,  # 2: weights averaged and drawn back; 3: trusted images, two thirds of errors in bags of rows
    run=run,
    fingerprint=fingerprints,
    possible=_possible,
)
