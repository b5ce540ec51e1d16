"""Retraining as the method does it: from the original weights, on the training set and the bag."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hudd.errors import UsageError
from hudd.ranks import Ranks
from hudd.retraining.averaging import between
from hudd.retraining.change import Change, compare_answers
from hudd.retraining.checkpoint import save_weights
from hudd.retraining.config import TrainingConfig
from hudd.retraining.fit import FitResult, TrainStep, fit
from hudd.retraining.images import Images, JoinedImages, as_images, as_labels
from hudd.retraining.prediction import Predictions, predict

Right = Callable[[Predictions], np.ndarray]


@dataclass(frozen=True)
class Retraining:
    """A retrained model and what became of the test set.

    Attributes
    ----------
    model : nn.Module
        The retrained copy, on the original's device and in eval mode.
    fit : FitResult
        The course of its training.
    change : Change or None
        Before and after on the test set; None without one.
    before, after : np.ndarray or None
        (N_test,) bool, whether each answer is right.
    answers : Predictions or None
        What the retrained model says of the test images.
    """

    model: nn.Module
    fit: FitResult
    change: Change | None
    before: np.ndarray | None
    after: np.ndarray | None
    answers: Predictions | None = None


def retrain(
    model: nn.Module,
    train: Any,
    improvement: Any,
    bag: np.ndarray,
    config: TrainingConfig | None = None,
    *,
    seed: int,
    copies: np.ndarray | None = None,
    trusted: np.ndarray | None = None,
    train_labels: Any = None,
    improvement_labels: Any = None,
    test: Any = None,
    test_labels: Any = None,
    before: np.ndarray | None = None,
    right: Right | None = None,
    clusters: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    weights: str | Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    train_step: TrainStep | None = None,
) -> Retraining:
    """Train a copy of the model on the training set plus the bag and compare it on the test set.

    Of the images in `trusted` the model's own predictions before the training are the labels, so that it keeps what it
    can do. The weights are averaged over the last steps (``config.average``) and drawn back towards those before
    (``config.interpolate``), so that fewer correct predictions are lost. The held-out part that finds the best epoch
    comes from the training set; neither the bag nor the test set has a say in it. Only the labels of images in the bag
    are read from the improvement set.

    Parameters
    ----------
    model : nn.Module
        With its original weights; stays as it is.
    train, improvement, test : tensor, array or Images
        See :func:`hudd.retraining.as_images`; the test set is optional.
    bag : np.ndarray
        (B,) int rows of the improvement set, with repeats; empty retrains on the training set alone.
    config : TrainingConfig, optional
        The choices.
    seed : int
        Seed of everything random in the training.
    copies : np.ndarray, optional
        (B,) float, how often each image of the bag is seen in an epoch on average; by default once. With
        :func:`hudd.selection.balance_weights` the sampler balances, in place of a balanced bag.
    trusted : np.ndarray, optional
        (T,) int rows of the improvement set that join with the class that the model predicts, each once, see
        :func:`hudd.selection.select_trusted`; by default none. Not for float targets.
    train_labels, improvement_labels, test_labels : array-like, optional
        Integer classes or float targets; by default the sources' own.
    before : np.ndarray, optional
        (N_test,) bool answers of the original model, where they are known already.
    right : callable, optional
        ``right(predictions) -> (N_test,) bool`` says which test images are right, from the model's outputs for them, a
        :class:`hudd.retraining.Predictions`; by default those whose predicted class is their label.
    clusters : np.ndarray, optional
        (N_errors,) cluster of each test error, in row order, for the recovery by cluster.
    checkpoint, on_epoch, train_step
        See :func:`hudd.retraining.fit`.
    weights : path, optional
        Write the new weights here, as .safetensors.

    Returns
    -------
    Retraining

    Raises
    ------
    UsageError
        If the bag or `trusted` names rows that do not exist, an image of the bag has no label, or sets do not fit.
    """
    old, new = as_images(train), as_images(improvement)
    bag, trusted = _rows("bag", bag, len(new)), _rows("trusted set", trusted, len(new))
    old_labels = as_labels(train_labels, train, len(old))
    labels = getattr(improvement, "labels", None) if improvement_labels is None else improvement_labels
    bag_labels = _bag_labels(labels, len(new), bag, old_labels.dtype)
    own_labels = _own_labels(model, new, trusted, old_labels.dtype)
    images = JoinedImages([(old, np.arange(len(old))), (new, np.concatenate([bag, trusted]))])

    config = config or TrainingConfig()
    retrained = deepcopy(model)
    course = fit(
        retrained,
        images,
        torch.cat([old_labels, bag_labels, own_labels]),
        config,
        seed=seed,
        may_hold_out=np.arange(len(old)),
        copies=None if copies is None else np.concatenate([np.ones(len(old)), copies, np.ones(len(trusted))]),
        checkpoint=checkpoint,
        on_epoch=on_epoch,
        train_step=train_step,
        average=config.average,
    )
    if config.interpolate < 1:
        retrained.load_state_dict(between(model.state_dict(), retrained.state_dict(), config.interpolate))
    retrained.eval()
    if weights is not None and Ranks.current().first:
        save_weights(retrained, weights)
    if test is None:
        return Retraining(retrained, course, None, None, None)
    right = right or _by_labels(test, test_labels)
    before = right(predict(model, test)) if before is None else before
    answers = predict(retrained, test)
    before, after = np.asarray(before, bool), right(answers)
    return Retraining(retrained, course, compare_answers(before, after, clusters), before, after, answers)


def _rows(what: str, rows: np.ndarray | None, count: int) -> np.ndarray:
    """Rows of the improvement set, checked."""
    rows = np.asarray([] if rows is None else rows, np.int64)
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise UsageError(f"the {what} names rows {rows.min()} to {rows.max()} of {count} improvement images.")
    return rows


def _own_labels(model: nn.Module, images: Images, rows: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """What the model says of these images, as labels."""
    if not len(rows):
        return torch.empty(0, dtype=dtype)
    if dtype.is_floating_point:
        raise UsageError(
            "the predictions of trusted images are classes, but the targets are floats; give no `trusted`."
        )
    return torch.from_numpy(predict(model, images, rows=rows).prediction)


def _bag_labels(labels: Any, count: int, bag: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """Labels of the bag, of the type of the training labels."""
    if labels is None or len(labels) != count:
        raise UsageError(f"the {count} improvement images need a label each (negative where unknown).")
    bag_labels = as_labels(np.asarray(labels)[bag], None, len(bag))
    if bag_labels.dtype != dtype:
        raise UsageError(f"training labels are {dtype} but improvement labels {bag_labels.dtype}.")
    return bag_labels


def _by_labels(test: Any, labels: Any) -> Right:
    """Say that an image is right whose predicted class is its label."""
    truth = as_labels(labels, test, len(as_images(test)))
    if truth.is_floating_point():
        raise UsageError("right and wrong are not defined for float targets; give `right`, or no test set.")
    return lambda found: np.asarray(found.prediction == truth.numpy())
