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
from hudd.retraining.images import JoinedImages, as_images, as_labels
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

    The weights are averaged over the last steps (``config.average``) and drawn back towards those before
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
        If the bag names rows that do not exist, an image of the bag has no label, or sets do not fit.
    """
    old, new = as_images(train), as_images(improvement)
    bag = np.asarray(bag, np.int64)
    if len(bag) and not (bag.min() >= 0 and bag.max() < len(new)):
        raise UsageError(f"the bag names rows {bag.min()} to {bag.max()} of {len(new)} improvement images.")
    old_labels = as_labels(train_labels, train, len(old))
    labels = getattr(improvement, "labels", None) if improvement_labels is None else improvement_labels
    bag_labels = _bag_labels(labels, len(new), bag, old_labels.dtype)
    images = JoinedImages([(old, np.arange(len(old))), (new, bag)])

    config = config or TrainingConfig()
    retrained = deepcopy(model)
    course = fit(
        retrained,
        images,
        torch.cat([old_labels, bag_labels]),
        config,
        seed=seed,
        may_hold_out=np.arange(len(old)),
        copies=None if copies is None else np.concatenate([np.ones(len(old)), copies]),
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
