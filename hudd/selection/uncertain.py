"""Uncertainty sampling: the images that the DNN is least sure of, by entropy or margin, also class by class."""

from __future__ import annotations

import numpy as np

from hudd.errors import UsageError
from hudd.selection.baselines import check_budget


def select_entropy(entropy: np.ndarray, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose the `budget` images whose predicted distribution has the highest entropy, highest first.

    Parameters
    ----------
    entropy : np.ndarray
        (M,) entropy of the softmax output, in any base.
    budget : int
        Images to choose.
    seed : int
        Breaks ties.

    Returns
    -------
    np.ndarray
        (budget,) int64 rows.

    Raises
    ------
    UsageError
        If the budget exceeds the images, or an entropy is not a number.

    References
    ----------
    B. Settles, "Active Learning Literature Survey", University of Wisconsin-Madison, 2009.
    """
    return _highest(_checked(entropy, "entropy"), budget, seed)


def select_margin(margin: np.ndarray, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose the `budget` images whose two most probable classes are closest, closest first.

    Parameters
    ----------
    margin : np.ndarray
        (M,) probability of the predicted class less that of the second.
    budget, seed
        See :func:`select_entropy`.

    Returns
    -------
    np.ndarray
        (budget,) int64 rows.

    Raises
    ------
    UsageError
        As :func:`select_entropy`.

    References
    ----------
    T. Scheffer, C. Decomain and S. Wrobel, "Active Hidden Markov Models for Information Extraction", IDA 2001.
    """
    return _highest(-_checked(margin, "margin"), budget, seed)


def select_class_balanced(
    entropy: np.ndarray, prediction: np.ndarray, budget: int, *, seed: int = 0
) -> np.ndarray:
    """Choose the images of the highest entropy, as many of every predicted class as there are, to one.

    Parameters
    ----------
    entropy, budget, seed
        See :func:`select_entropy`.
    prediction : np.ndarray
        (M,) int predicted classes; a class with too few images leaves its share to the others.

    Returns
    -------
    np.ndarray
        (budget,) int64 rows: the most uncertain of every class, then the second of every class, and so on.

    Raises
    ------
    UsageError
        As :func:`select_entropy`, and if the lengths differ.

    References
    ----------
    J. Z. Bengar et al., "Class-Balanced Active Learning for Image Classification", WACV 2022, balances an optimisation
    over the predicted probabilities; here the predicted classes have equal shares.
    """
    entropy, prediction = _checked(entropy, "entropy"), np.asarray(prediction)
    check_budget(budget, len(entropy))
    if prediction.shape != entropy.shape:
        raise UsageError(
            f"there are {len(entropy)} entropies but {len(prediction)} predictions; give one each."
        )
    order = _highest(entropy, len(entropy), seed)
    by_class = order[np.argsort(prediction[order], kind="stable")]
    first = np.diff(prediction[by_class], prepend=prediction[by_class[:1]] - 1) != 0
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    place = np.empty(len(order), np.int64)
    place[by_class] = np.arange(len(order)) - start
    return order[np.argsort(place[order], kind="stable")[:budget]]


def _highest(score: np.ndarray, budget: int, seed: int) -> np.ndarray:
    check_budget(budget, len(score))
    order = np.random.default_rng(seed).permutation(len(score))
    chosen: np.ndarray = order[np.argsort(-score[order], kind="stable")[:budget]].astype(np.int64)
    return chosen


def _checked(score: np.ndarray, name: str) -> np.ndarray:
    score = np.asarray(score)
    if np.isnan(score).any():
        row = int(np.flatnonzero(np.isnan(score))[0])
        raise UsageError(f"the {name} of improvement image {row} is not a number; check the model's output.")
    return score
