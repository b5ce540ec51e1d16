"""Selections by root cause: labels for each cause by its share of the failures, inside it doubtful and unlike images.

The clusters say which images show a cause; the doubt, made of failures on test images with like heatmaps and of the
entropy, where the DNN is likely to fail; k-means on features of the last layer which images are unlike.
"""

from __future__ import annotations

import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.selection.baselines import check_budget
from hudd.selection.candidates import Candidates
from hudd.selection.closest import over_reach
from hudd.selection.diverse import AS_MANY, spread
from hudd.selection.uncertain import select_entropy
from hudd.selection.unsafe import share_out


def select_by_cause(candidates: Candidates, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose doubtful and unlike images, for every cause in proportion to its errors, the rest wherever they are.

    Of the 4 x `budget` images of the highest :attr:`Candidates.doubt`, one of each group of look-alikes is kept. Those
    within a cause's reach are clustered by k-means into as many clusters as its share of the budget, and the image
    nearest to each centre is chosen. What the causes do not use goes in the same way to all images that are left.

    Parameters
    ----------
    candidates : Candidates
        With an embedding; see :attr:`Candidates.cause` and :attr:`Candidates.common`.
    budget : int
        Images to choose.
    seed : int
        Of k-means, and of ties.

    Returns
    -------
    np.ndarray
        (budget,) int64 distinct rows, those of the first cause first.

    Raises
    ------
    UsageError
        If the budget exceeds the images, or an entropy is not a number.
    """
    check_budget(budget, len(candidates))
    order = select_entropy(candidates.doubt, len(candidates), seed=seed)
    doubtful = candidates.unlike(order[: AS_MANY * budget])
    chosen = np.empty(0, np.int64)
    cause = candidates.nearest_cause
    for number, share in _shares(candidates, budget).items():
        chosen = np.append(chosen, _spread(candidates, doubtful[cause[doubtful] == number], share, seed))
    left = doubtful[~np.isin(doubtful, chosen)]
    chosen = np.append(chosen, _spread(candidates, left, budget - len(chosen), seed))
    rest = order[~np.isin(order, chosen)]  # where too many images look alike
    return np.append(chosen, rest[: budget - len(chosen)])


def select_for_cause(candidates: Candidates, cause: int, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose images for one cause: of those closest to it, mutually unlike ones.

    The images whose nearest cluster is one of the cause's come in order of their distance over that cluster's reach;
    as many as lie within the reach, and at least 4 x `budget`, are looked at. They are clustered by k-means, and the
    image nearest to each centre is chosen. Of images that look alike only the most uncertain is looked at.

    Parameters
    ----------
    candidates : Candidates
        With an embedding.
    cause : int
        Its number, see :attr:`Candidates.cause`.
    budget : int
        Images to choose.
    seed : int
        Of k-means, and of ties.

    Returns
    -------
    np.ndarray
        (budget,) int64 distinct rows, fewer where fewer images are closest to the cause; the most uncertain first.

    Raises
    ------
    UsageError
        If there is no such cause.
    HuddError
        If no image is closest to it.
    """
    closest = candidates.closest
    of_error = candidates.cause_of_error
    own = np.isin(closest.clusters, candidates.labels[of_error == cause])
    if not own.any():
        raise UsageError(f"there is no cause {cause}; choose one of: {sorted(set(of_error.tolist()) - {0})}.")
    column = closest.distance.argmin(axis=1)
    near = np.flatnonzero(own[column])
    if not len(near):
        raise HuddError(
            f"no improvement image is closest to cause {cause}; give more images, or another cause."
        )
    distance, reach = closest.distance[near, column[near]], closest.reach[column[near]]
    away = over_reach(distance, reach)
    inside = int(np.count_nonzero(away <= 1))
    near = near[np.argsort(away, kind="stable")][: max(inside, AS_MANY * budget)]
    order = select_entropy(candidates.entropy[near], len(near), seed=seed)
    return _spread(candidates, candidates.unlike(near[order]), budget, seed)


def _shares(candidates: Candidates, budget: int) -> dict[int, int]:
    """Images for each cause, in proportion to its errors; those with nothing in common leave theirs to all."""
    causes, errors = np.unique(candidates.common_cause, return_counts=True)
    return {int(cause): int(share) for cause, share in zip(causes, share_out(budget, errors)) if cause > 0}


def _spread(candidates: Candidates, rows: np.ndarray, budget: int, seed: int) -> np.ndarray:
    """Up to `budget` of the rows that are unlike by their features, in their order."""
    if budget <= 0 or not len(rows):
        return rows[:0]
    chosen: np.ndarray = rows[np.sort(spread(candidates.embedding.features, rows, budget, seed=seed))]
    return chosen
