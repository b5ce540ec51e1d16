"""Selections that spread over what the DNN's last layer takes in: core-set, BADGE, TypiClust, entropy and k-means.

All take features (M, d) float32, return distinct rows, (budget,) int64, in the order of choice, and hold no more than
a block of distances, or 10,000 rows, at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hudd.errors import UsageError
from hudd.lazy import sklearn_cluster, sklearn_neighbors
from hudd.selection.baselines import check_budget
from hudd.selection.uncertain import select_entropy

AS_MANY = 4  # times the budget, of the most uncertain images, go into k-means
_FITTED = 10_000  # rows up to which all are read in every iteration of k-means; of more so many are drawn
_ITERATIONS, _BLOCK = 50, 4096
_MOST_CLUSTERS, _NEIGHBOURS = 500, 20  # of TypiClust, as its authors have them


def select_core_set(features: np.ndarray, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose images so that every other one is near a chosen one: k-center greedy, farthest first.

    Parameters
    ----------
    features : np.ndarray
        (M, d) float32 features of the last layer.
    budget : int
        Images to choose.
    seed : int
        Draws the first image; the others are each the farthest from those chosen before.

    Returns
    -------
    np.ndarray
        (budget,) int64 rows.

    Raises
    ------
    UsageError
        If the budget exceeds the images, or a feature is not a number.

    References
    ----------
    O. Sener and S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018,
    algorithm 1, without the training set among the centres.
    """
    features = _checked(features, budget)
    squared = np.einsum("md,md->m", features, features)

    def distances(row: int) -> np.ndarray:
        away: np.ndarray = squared + squared[row] - 2 * (features @ features[row])
        return away.clip(min=0)

    chosen = np.empty(budget, np.int64)
    nearest = np.full(len(features), np.inf)
    for place in range(budget):
        row = int(np.random.default_rng(seed).integers(len(features))) if not place else int(nearest.argmax())
        chosen[place] = row
        np.minimum(nearest, distances(row), out=nearest)
        nearest[row] = -np.inf
    return chosen


def select_badge(features: np.ndarray, residual: np.ndarray, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose images whose gradients of the last layer are long and unlike: BADGE.

    The gradient of the loss with respect to the weights of the last layer is the outer product of residual and
    features. k-means++ seeding on these draws each image with a probability in proportion to its squared distance to
    the nearest chosen one. Distances between outer products come from inner products of their factors, so that none
    is formed.

    Parameters
    ----------
    features, budget
        See :func:`select_core_set`.
    residual : np.ndarray
        (M, K) float32 probabilities less 1 at the predicted class.
    seed : int
        Of the draws; the first image is the one of the longest gradient.

    Returns
    -------
    np.ndarray
        As :func:`select_core_set`.

    Raises
    ------
    UsageError
        If the budget exceeds the images, lengths differ, or anything is not a number.

    References
    ----------
    J. T. Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds", ICLR 2020.
    """
    features, residual = _checked(features, budget), _checked(residual, budget, "residual")
    if len(features) != len(residual):
        raise UsageError(f"there are {len(features)} features but {len(residual)} residuals; give one each.")
    squared = np.einsum("md,md->m", features, features) * np.einsum("mk,mk->m", residual, residual)

    def distances(row: int) -> np.ndarray:
        away: np.ndarray = (
            squared + squared[row] - 2 * (features @ features[row]) * (residual @ residual[row])
        )
        return away.clip(min=0)

    return _plus_plus(distances, squared, budget, np.random.default_rng(seed))


def _plus_plus(
    distances: Callable[[int], np.ndarray], length: np.ndarray, budget: int, rng: np.random.Generator
) -> np.ndarray:
    """k-means++ seeding: `distances(row)` returns the (M,) squared distances of all to a row."""
    chosen, left = np.empty(budget, np.int64), np.ones(len(length), bool)
    nearest = np.full(len(length), np.inf)
    for place in range(budget):
        if place:
            weight = np.where(left, nearest, 0.0).cumsum(dtype=np.float64)
            drawn = np.searchsorted(weight, rng.random() * weight[-1], side="right")
            row = int(drawn) if weight[-1] > 0 else int(rng.choice(np.flatnonzero(left)))
        else:
            row = int(length.argmax())
        chosen[place], left[row] = row, False
        np.minimum(nearest, distances(row), out=nearest)
    return chosen


def select_typical(features: np.ndarray, budget: int, *, seed: int = 0) -> np.ndarray:
    """Choose the most typical image of each of many clusters: TypiClust, for small budgets.

    Features are taken at unit norm and clustered by k-means, into as many clusters as images are wanted, at most 500.
    The cluster with the fewest chosen images, of these the largest one, gives the next: the one with the least mean
    distance to its 20 nearest neighbours in the cluster.

    Parameters
    ----------
    features, budget
        See :func:`select_core_set`.
    seed : int
        Of k-means.

    Returns
    -------
    np.ndarray
        As :func:`select_core_set`.

    Raises
    ------
    UsageError
        As :func:`select_core_set`.

    References
    ----------
    G. Hacohen, A. Dekel and D. Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and Low
    Budgets", ICML 2022, with the DNN's own features in place of self-supervised ones.
    """
    features = _checked(features, budget)
    if not budget:
        return np.empty(0, np.int64)

    def unit(rows: np.ndarray) -> np.ndarray:
        taken = features[rows]
        length = np.linalg.norm(taken, axis=1, keepdims=True)
        normed: np.ndarray = taken / np.maximum(length, np.finfo(np.float32).tiny)
        return normed

    cluster, _ = _kmeans(unit, len(features), min(budget, _MOST_CLUSTERS), seed)
    members = [np.flatnonzero(cluster == number) for number in np.unique(cluster)]
    members = sorted((rows[_by_typicality(unit(rows))] for rows in members), key=len, reverse=True)
    rounds = np.concatenate([np.arange(len(rows)) for rows in members])
    order = np.argsort(rounds, kind="stable")[:budget]
    chosen: np.ndarray = np.concatenate(members)[order].astype(np.int64)
    return chosen


def _by_typicality(features: np.ndarray) -> np.ndarray:
    """Rows of one cluster, the one of the least mean distance to its nearest neighbours first."""
    neighbours = min(_NEIGHBOURS, len(features) - 1)
    if not neighbours:
        return np.zeros(1, np.int64)
    distances, _ = (
        sklearn_neighbors.NearestNeighbors(n_neighbors=neighbours, algorithm="brute")
        .fit(features)
        .kneighbors()
    )
    order: np.ndarray = np.argsort(distances.mean(axis=1), kind="stable")
    return order


def select_entropy_kmeans(
    entropy: np.ndarray, features: np.ndarray, budget: int, *, seed: int = 0
) -> np.ndarray:
    """Choose among the most uncertain images those nearest to the centres of as many k-means clusters.

    Parameters
    ----------
    entropy : np.ndarray
        (M,) entropy of the softmax output; the 4 x `budget` highest go on.
    features : np.ndarray
        (M, d) float32 features of the last layer, which k-means clusters.
    budget : int
        Images to choose: one a cluster. Where images coincide and leave fewer clusters, the most uncertain of the rest
        make up the number.
    seed : int
        Of k-means, and of ties.

    Returns
    -------
    np.ndarray
        (budget,) int64 rows, the most uncertain first.

    Raises
    ------
    UsageError
        If the budget exceeds the images, lengths differ, or anything is not a number.

    References
    ----------
    F. Zhdanov, "Diverse mini-batch Active Learning", arXiv 1901.05954, 2019.
    """
    features = _checked(features, budget)
    if len(features) != len(entropy):
        raise UsageError(f"there are {len(features)} features but {len(entropy)} entropies; give one each.")
    uncertain = select_entropy(entropy, min(AS_MANY * budget, len(features)), seed=seed)
    chosen: np.ndarray = uncertain[np.sort(spread(features, uncertain, budget, seed=seed))]
    return chosen


def spread(features: np.ndarray, rows: np.ndarray, budget: int, *, seed: int) -> np.ndarray:
    """Places in `rows` of those nearest to the centres of `budget` k-means clusters, then of the first others.

    Returns
    -------
    np.ndarray
        (budget,) int64, distinct.
    """
    if budget >= len(rows) or not budget:
        return np.arange(min(budget, len(rows)))
    cluster, away = _kmeans(lambda places: features[rows[places]], len(rows), budget, seed)
    order = np.lexsort((np.arange(len(rows)), away, cluster))
    first = np.diff(cluster[order], prepend=-1) != 0
    chosen = order[first]
    rest = np.setdiff1d(np.arange(len(rows)), chosen)
    return np.concatenate([chosen, rest[: budget - len(chosen)]])


def _kmeans(
    take: Callable[[np.ndarray], np.ndarray], count: int, clusters: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each of `count` rows, (count,) int64, and its distance to the centre, (count,).

    ``take(rows)`` returns features. Centres are those of up to 10,000 rows that are drawn.
    """
    drawn = np.arange(count)
    if count > _FITTED:
        drawn = np.sort(
            np.random.default_rng([seed, count]).choice(count, max(_FITTED, clusters), replace=False)
        )
    features = take(drawn)
    distinct = min(clusters, len(np.unique(features, axis=0)))
    label, away = np.empty(count, np.int64), np.empty(count, np.float32)
    with threadpool_limits(1):  # sums of several threads would differ from run to run
        found = sklearn_cluster.KMeans(distinct, n_init=1, random_state=seed, max_iter=_ITERATIONS).fit(
            features
        )
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            features = take(np.arange(count)[part])
            label[part] = found.labels_[part] if count <= _FITTED else found.predict(features)
            away[part] = np.linalg.norm(features - found.cluster_centers_[label[part]], axis=1)
    return label, away


def _checked(values: np.ndarray, budget: int, name: str = "features") -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2:
        raise UsageError(f"{name} have shape {values.shape}; give one row an image.")
    check_budget(budget, len(values))
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise UsageError(f"the {name} of improvement image {row} are not numbers; check the model's output.")
    return values
