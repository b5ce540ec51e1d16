"""Selections that HUDD is compared with: at random, and the paper's BL1 and BL2.

All return rows of the improvement set, (S,) int64. Those of `random` are distinct and in order of choice; the paper's
baselines draw with replacement, as its code does.
"""

from __future__ import annotations

import numpy as np

from hudd.errors import UsageError


def select_random(count: int, budget: int, *, seed: int) -> np.ndarray:
    """`budget` distinct images of `count`, all sets equally likely."""
    check_budget(budget, count)
    return np.random.default_rng(seed).permutation(count)[:budget].astype(np.int64)


def select_bl1(correct: np.ndarray, budget: int, *, seed: int) -> np.ndarray:
    """BL1: draw `budget` images with replacement and keep those that the DNN gets wrong.

    The caller pays for `budget` labels, since only a label tells whether the DNN is wrong. Unlike the
    original's, the draw is over the whole improvement set and not over its first images.

    Parameters
    ----------
    correct : np.ndarray
        (M,) bool, whether the DNN is right.
    budget : int
        Images to draw.
    seed : int
        Seed of the draw, the same as BL2's for the same seed.
    """
    correct = np.asarray(correct, bool)
    drawn = select_bl2(len(correct), budget, seed=seed)
    errors: np.ndarray = drawn[~correct[drawn]]
    return errors


def select_bl2(count: int, budget: int, *, seed: int) -> np.ndarray:
    """BL2: draw `budget` images of `count` with replacement."""
    if count < 1 or budget < 0:
        raise UsageError(f"cannot draw {budget} images of {count}.")
    return np.random.default_rng(seed).integers(count, size=budget)


def bootstrap(images: np.ndarray, size: int, *, seed: int, correct: np.ndarray | None = None) -> np.ndarray:
    """Fill a bag of `size` with the images and then with draws from them.

    Parameters
    ----------
    images : np.ndarray
        (S,) int rows.
    size : int
        Images in the bag.
    seed : int
        Seed of the draws.
    correct : np.ndarray, optional
        (S,) bool, whether the DNN is right on each. Given, of a bag no more than two thirds are errors unless all
        images are: images that look doubtful and are right hold the DNN to what it can do.

    Returns
    -------
    np.ndarray
        (size,) int64, each image at least once where there is room.

    Raises
    ------
    UsageError
        If there is nothing to draw from.
    """
    images = np.asarray(images, np.int64)
    if size > 0 and not len(images):
        raise UsageError("no image was selected, so there is no bag to draw; raise the budget.")
    if correct is not None and 0 < np.count_nonzero(correct) < len(images) / 3:
        right = round(size / 3)
        parts = (images[correct], right), (images[~correct], size - right)
        return np.concatenate([bootstrap(own, count, seed=seed) for own, count in parts])
    more = np.random.default_rng(seed).integers(max(1, len(images)), size=max(0, size - len(images)))
    return np.concatenate([images[:size], images[more] if len(more) else images[:0]])


def check_budget(budget: int, count: int) -> None:
    """Refuse to select more images than there are."""
    if not 0 <= budget <= count:
        raise UsageError(
            f"{budget} images were asked for but the improvement set has {count}; lower the budget."
        )
