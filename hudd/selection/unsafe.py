"""The unsafe set: the improvement images closest to the root-cause clusters, within each cluster's budget."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from hudd.errors import UsageError
from hudd.presets import get_preset
from hudd.selection.closest import ClosestMembers, over_reach


@dataclass(frozen=True)
class UnsafeSet:
    """Improvement images to be labelled, one row per image, in the order in which they were chosen.

    Attributes
    ----------
    image : np.ndarray
        (S,) int64 row in the improvement set.
    cluster : np.ndarray
        (S,) int64 label of the cluster it was chosen for.
    distance : np.ndarray
        (S,) float64 Euclidean distance to that cluster's closest member.
    rank : np.ndarray
        (S,) int64: 0 where that is the image's nearest cluster, 1 the second nearest, and so on.
    radius_ratio : np.ndarray
        (S,) float64 distance over the cluster's reach (see :class:`ClosestMembers`); NaN where unknown.
    outside : np.ndarray
        (S,) bool: farther from the cluster than its own members are from each other.
    """

    image: np.ndarray
    cluster: np.ndarray
    distance: np.ndarray
    rank: np.ndarray
    radius_ratio: np.ndarray
    outside: np.ndarray

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise UsageError(f"the columns of an unsafe set must be of one length, not {lengths}.")

    def __len__(self) -> int:
        return len(self.image)

    def by_cluster(self) -> dict[int, np.ndarray]:
        """Cluster label to its images, (s,) int64, in the order in which they were chosen."""
        return {int(c): self.image[self.cluster == c] for c in dict.fromkeys(self.cluster.tolist())}


def cluster_budgets(size: np.ndarray, factor: float) -> np.ndarray:
    """Images asked for per cluster, (k,) int64: ceil(factor x size), and none for clusters of one.

    The product is rounded to nine decimals first, so that 0.1 x 30 asks for 3 and not for 4.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise UsageError(f"the selection factor must be a positive number, not {factor}.")
    size = np.asarray(size)
    return np.where(size > 1, np.ceil(np.round(factor * size, 9)), 0).astype(np.int64)


def share_out(total: int, weights: np.ndarray) -> np.ndarray:
    """Split `total` in proportion to the weights by largest remainders: (k,) int64 that sum to `total`."""
    weights = np.asarray(weights, np.float64)
    if total < 0 or (weights < 0).any() or not weights.sum() > 0:
        raise UsageError(
            f"{total} images cannot be shared out by weights {weights}; give some positive weight."
        )
    exact = total * weights / weights.sum()
    share: np.ndarray = np.floor(exact).astype(np.int64)
    left = total - int(share.sum())
    share[np.argsort(share - exact, kind="stable")[:left]] += 1
    return share


def select_unsafe(
    distances: ClosestMembers | np.ndarray,
    labels: np.ndarray,
    *,
    preset: str = "hudd",
    factor: float | None = None,
    budget: int | Mapping[int, int] | None = None,
    distance_cap: float | None = None,
    uncertainty: np.ndarray | None = None,
    order: np.ndarray | None = None,
    seed: int = 0,
) -> UnsafeSet:
    """Choose improvement images for every cluster, nearest first, each image for one cluster at most.

    Images compete rank by rank: in order of the distance to their nearest cluster, each goes to it if that
    has budget left; those left over compete for their second nearest, and so on (Fahmy et al., IEEE Trans.
    Reliability 70(4), 2021, unsafe-set selection by closest members). Clusters of one are left out.

    Parameters
    ----------
    distances : ClosestMembers or np.ndarray
        From :func:`closest_members`; or (M, N) distances of images to the N members; or (M, k) to the
        clusters in order of their first appearance in `labels`.
    labels : np.ndarray
        (N,) int, the error images' clusters from 1.
    preset : str
        ``hudd``: ties broken by a generator seeded with `seed`. ``hudd-2021``: tied images in the order of
        Python's ``random.Random(seed).shuffle``, tied clusters in order of first appearance.
    factor : float, optional
        Images per cluster member; the preset's where not given.
    budget : int or mapping, optional
        In place of the factor: images in all, shared out in proportion to cluster sizes, or
        ``{cluster: images}``.
    distance_cap : float, optional
        Images at this distance or farther are never chosen; the preset's where not given, ``math.inf`` for
        none.
    uncertainty : np.ndarray, optional
        (M,) entropy, or any score of the DNN's doubt. Images within a cluster's reach then go to it in order
        of their doubt, highest first, and before those outside, which still go nearest first: a hybrid of
        the clusters' budgets and uncertainty sampling. Without a known reach all count as within.
    order : np.ndarray, optional
        (M,) permutation of the images: the order in which ties are resolved.
    seed : int
        Seed of that order where it is not given.

    Returns
    -------
    UnsafeSet

    Raises
    ------
    UsageError
        If shapes, budget, factor or order cannot be used, or a distance is not a number.
    """
    choices = get_preset(preset)
    closest = (
        distances if isinstance(distances, ClosestMembers) else ClosestMembers.from_matrix(distances, labels)
    )
    if np.isnan(closest.distance).any():
        row = int(np.flatnonzero(np.isnan(closest.distance).any(axis=1))[0])
        raise UsageError(f"the distances of improvement image {row} are not numbers; check its heatmap.")
    wanted = _budgets(closest, choices.selection_factor if factor is None else factor, budget)
    cap = distance_cap if distance_cap is not None else choices.distance_cap
    images, columns = _tie_order(closest, faithful=choices.name == "hudd-2021", order=order, seed=seed)
    picked = _rank_by_rank(
        closest.distance[np.ix_(images, columns)],
        wanted[columns],
        math.inf if cap is None else cap,
        None if uncertainty is None else _doubt_first(closest, uncertainty)[np.ix_(images, columns)],
    )

    row, column, rank = images[picked[:, 0]], columns[picked[:, 1]], picked[:, 2]
    distance = closest.distance[row, column].astype(np.float64)
    reach = closest.reach[column]
    ratio = over_reach(distance, reach)
    return UnsafeSet(row, closest.clusters[column], distance, rank, ratio, distance > reach)


def _budgets(closest: ClosestMembers, factor: float, budget: int | Mapping[int, int] | None) -> np.ndarray:
    """(k,) int64 images wanted for each cluster."""
    if budget is None:
        return cluster_budgets(closest.size, factor)
    if isinstance(budget, Mapping):
        known = closest.clusters.tolist()
        unknown = sorted(set(budget) - set(known))
        if unknown:
            raise UsageError(f"the budget names clusters {unknown} that do not exist; there are {known}.")
        return np.array([budget.get(c, 0) if n > 1 else 0 for c, n in zip(known, closest.size)])
    if not (closest.size > 1).any():
        return np.zeros(len(closest.size), np.int64)
    return share_out(int(budget), np.where(closest.size > 1, closest.size, 0))


def shuffled_order(count: int, seed: int) -> np.ndarray:
    """Order in which preset ``hudd-2021`` takes tied images: (count,) int64, by Python's ``random``."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return np.array(order, np.int64)


def _tie_order(
    closest: ClosestMembers, *, faithful: bool, order: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Order of the images and of the columns of more than one member, in which ties are resolved."""
    count, columns = len(closest.distance), np.flatnonzero(closest.size > 1)
    rng = np.random.default_rng(seed)
    if order is not None:
        images = np.asarray(order, np.int64)
        if not np.array_equal(np.sort(images), np.arange(count)):
            raise UsageError(f"the order must be a permutation of the {count} images.")
    elif faithful:
        images = shuffled_order(count, seed)
    else:
        images = rng.permutation(count)
    return images, columns if faithful else rng.permutation(columns)


def _doubt_first(closest: ClosestMembers, uncertainty: np.ndarray) -> np.ndarray:
    """(M, k) priorities, lowest first: doubt in [-1, 0] within the reach, the distance outside it."""
    uncertainty = np.asarray(uncertainty, np.float64)
    if uncertainty.shape != (len(closest.distance),) or not np.isfinite(uncertainty).all():
        raise UsageError(
            f"uncertainty must be {len(closest.distance)} finite numbers, one an improvement image."
        )
    spread = uncertainty.max(initial=0) - uncertainty.min(initial=0)
    doubt = (uncertainty - uncertainty.min(initial=0)) / (spread or 1.0)
    return np.where(closest.distance > closest.reach, closest.distance, -doubt[:, None])


def _rank_by_rank(
    distances: np.ndarray, budget: np.ndarray, cap: float, priority: np.ndarray | None = None
) -> np.ndarray:
    """(S, 3) int64 rows (image, column, rank) in the order of choice; by distance without a priority."""
    left, free = budget.copy(), np.ones(len(distances), bool)
    nearest = np.argsort(distances, axis=1, kind="stable")
    picked = [np.empty((0, 3), np.int64)]
    for rank in range(distances.shape[1]):
        rows = np.flatnonzero(free)
        column = nearest[rows, rank]
        away = distances[rows, column]
        rows, column, away = (a[(left[column] > 0) & (away < cap)] for a in (rows, column, away))
        first = np.argsort(away if priority is None else priority[rows, column], kind="stable")
        rows, column = rows[first], column[first]
        taken = _place_in_group(column) < left[column]
        rows, column = rows[taken], column[taken]
        free[rows] = False
        left -= np.bincount(column, minlength=len(left))
        picked.append(np.stack([rows, column, np.full(len(rows), rank)], axis=1))
        if not left.any():
            break
    return np.concatenate(picked)


def _place_in_group(groups: np.ndarray) -> np.ndarray:
    """(n,) int64: how many earlier entries have the same value."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = (
        np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.empty(0, np.int64)
    )
    place = np.empty(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
    return place
