"""Balanced bags: every cluster of the unsafe set gets an equal share of what the DNN is retrained on."""

from __future__ import annotations

import math
import random

import numpy as np

from hudd.errors import UsageError
from hudd.selection.closest import ClosestMembers
from hudd.selection.unsafe import UnsafeSet, cluster_budgets


def balance(
    unsafe: UnsafeSet | tuple[np.ndarray, np.ndarray],
    *,
    seed: int = 0,
    size: int | None = None,
    classes: np.ndarray | None = None,
) -> np.ndarray:
    """Draw a bag in which all clusters have equal shares, exact to one image.

    A balanced bootstrap (Davison, Hinkley and Schechtman, Biometrika 73(3), 1986): inside a cluster every
    image is repeated equally often, to one, and the seed decides which are repeated once more.

    Parameters
    ----------
    unsafe : UnsafeSet or (images, clusters)
        Chosen images and the cluster, or any other group, of each: two (S,) int arrays.
    seed : int
        Seed of the draws.
    size : int, optional
        Images in the bag; by default the size of the largest cluster times the number of clusters.
    classes : np.ndarray, optional
        (S,) label of each chosen image; each cluster's share is then split equally over its classes, again
        exact to one image.

    Returns
    -------
    np.ndarray
        (size,) int64 rows of the improvement set, with repeats, cluster after cluster.

    Raises
    ------
    UsageError
        If nothing was selected, lengths differ or the size is negative.
    """
    levels, size = _levels(unsafe, size, classes)
    images = np.asarray(unsafe.image if isinstance(unsafe, UnsafeSet) else unsafe[0])
    bag: np.ndarray = images[_draw(np.arange(len(images)), levels, size, np.random.default_rng(seed))].astype(
        np.int64
    )
    return bag


def balance_weights(
    unsafe: UnsafeSet | tuple[np.ndarray, np.ndarray],
    *,
    size: int | None = None,
    classes: np.ndarray | None = None,
) -> np.ndarray:
    """Weight every chosen image so that all clusters count alike: the alternative to :func:`balance`.

    Given to :func:`hudd.retraining.retrain` as `copies` of the chosen images, every epoch draws again which of
    them are seen once more than others.

    Parameters
    ----------
    unsafe, size, classes
        See :func:`balance`.

    Returns
    -------
    np.ndarray
        (S,) float64, how often each image is seen in an epoch on average; they sum to `size`, and each cluster's
        to `size` / k.

    Raises
    ------
    UsageError
        As for :func:`balance`.
    """
    levels, size = _levels(unsafe, size, classes)
    weights, group = np.full(len(levels[0]), float(size)), np.zeros(len(levels[0]), np.int64)
    for level in levels:
        inner = np.unique(np.stack([group, level]), axis=1, return_inverse=True)[1].ravel()
        parts = np.bincount(np.unique(np.stack([group, inner]), axis=1)[0], minlength=group.max() + 1)
        weights, group = weights / parts[group], inner
    return weights / np.bincount(group)[group]


def _levels(
    unsafe: UnsafeSet | tuple[np.ndarray, np.ndarray], size: int | None, classes: np.ndarray | None
) -> tuple[list[np.ndarray], int]:
    """Clusters and classes of the images, and the size of their bag."""
    pair = (unsafe.image, unsafe.cluster) if isinstance(unsafe, UnsafeSet) else unsafe
    images, clusters = map(np.asarray, pair)
    levels = [clusters] if classes is None else [clusters, np.asarray(classes)]
    if any(level.shape != images.shape for level in levels):
        raise UsageError(f"{images.shape} images need as many groups, not {[a.shape for a in levels]}.")
    if images.ndim != 1 or images.dtype.kind not in "iu":
        raise UsageError(
            f"images are {images.dtype} of shape {images.shape}; give row numbers, one per image."
        )
    if not len(images):
        raise UsageError("the unsafe set is empty; raise the selection factor or the distance cap.")
    if size is None:
        counts = np.unique(clusters, return_counts=True)[1]
        size = int(counts.max()) * len(counts)
    if size < 0:
        raise UsageError(f"a bag cannot have {size} images.")
    return levels, size


def _draw(rows: np.ndarray, levels: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` of the rows: equal shares at each level, then for the rows themselves."""
    if not levels:
        return np.repeat(rows, _equal_shares(size, len(rows), rng))
    values = list(dict.fromkeys(levels[0][rows].tolist()))
    shares = _equal_shares(size, len(values), rng)
    parts = [_draw(rows[levels[0][rows] == v], levels[1:], int(n), rng) for v, n in zip(values, shares)]
    return np.concatenate(parts)


def _equal_shares(size: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """`size` split into `parts` shares that differ by one at most; the generator says who gets one more."""
    shares = np.full(parts, size // parts)
    shares[rng.permutation(parts)[: size % parts]] += 1
    return shares


def smart_bagging(
    closest: ClosestMembers,
    unsafe: UnsafeSet,
    *,
    factor: float,
    order: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Draw the bag of preset ``hudd-2021`` as the original's `generateSmartBaggingHM` draws it.

    Kept for comparison with published results. Its shares are not equal: each cluster's list is rebuilt
    from the distances, so that an image may serve two clusters; it then grows by sweeps that append nearly
    every image at once and overshoot; the whole is cut to size, at the expense of the last clusters; and
    clusters with a single image are passed over. :func:`balance` has none of this.

    Parameters
    ----------
    closest : ClosestMembers
        The distances that the selection was made from.
    unsafe : UnsafeSet
        Chosen under preset ``hudd-2021``, see :func:`select_unsafe`.
    factor : float
        The selection factor.
    order : np.ndarray, optional
        (M,) permutation in which tied images are taken, the one of the selection: :func:`shuffled_order` of its
        seed; by default their own.
    seed : int
        Seed of Python's ``random`` for the sweeps.

    Returns
    -------
    np.ndarray
        int64 rows of the improvement set, with repeats.
    """
    rng = random.Random(seed)
    columns = np.flatnonzero(closest.size > 1)
    distances, clusters = closest.distance[:, columns].astype(np.float64), closest.clusters[columns]
    budget = cluster_budgets(closest.size[columns], factor)
    nearest = np.argsort(distances, axis=1, kind="stable")
    order = np.arange(len(distances)) if order is None else np.asarray(order)
    target, bag = int(budget.max(initial=0)), []
    for column, cluster in enumerate(clusters):
        if np.count_nonzero(unsafe.cluster == cluster) < 2:
            continue
        rank = np.argmax(nearest == column, axis=1)[order]
        images = order[np.lexsort((distances[order, column], rank))[: budget[column]]]
        away = distances[images, column]
        weight, share = away / away.sum() if away.sum() > 0 else np.zeros(len(away)), list(images)
        while len(share) < target:
            draw = rng.random()
            share += list(images[draw < 1 - weight])
        bag += share
    return np.array(bag[: math.ceil(target * len(columns))], np.int64)
