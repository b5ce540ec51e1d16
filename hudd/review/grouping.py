"""Clusters as people leave them: merged, split, and put back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hudd.clustering.clusterers import Ward
from hudd.clustering.pairs import Pairs
from hudd.clustering.wicd import flat_labels, medoids
from hudd.errors import UsageError

if TYPE_CHECKING:
    from hudd.study import Clusters

T = TypeVar("T")


@dataclass(frozen=True)
class Groups:
    """A grouping of the N errors.

    Numbers stay what they are: the cluster that another is merged into keeps its own, that of the other is
    not given again, and what is split off gets a new one.

    Attributes
    ----------
    label : ndarray, (N,) int64
        Number of each error's cluster, from 1.
    medoid : dict of int to int
        Number to the error row of the medoid.
    key : dict of int to int
        Number to the member that names and notes hang on: the medoid as the cluster was found, whatever is
        merged into it or split off.
    origin : dict of int to str
        Number to what was done to it, for those that were edited.
    last : int
        The highest number given so far.
    """

    label: np.ndarray
    medoid: dict[int, int]
    key: dict[int, int]
    origin: dict[int, str]
    last: int


def as_found(clusters: Clusters) -> Groups:
    """Return the study's own clusters."""
    medoid = dict(enumerate(clusters.medoid.tolist(), start=1))
    return Groups(np.asarray(clusters.label, np.int64), medoid, dict(medoid), {}, len(medoid))


def merge(groups: Groups, into: int, other: int, pairs: Pairs) -> Groups:
    """Return the grouping with cluster `other` merged into `into`.

    Parameters
    ----------
    groups : Groups
        The grouping before.
    into, other : int
        Two different clusters.
    pairs : Pairs
        Distances of the errors.

    Raises
    ------
    UsageError
        If one of them does not exist, or both are the same.
    """
    _check(groups, into)
    _check(groups, other)
    if into == other:
        raise UsageError(f"cluster {into} cannot be merged with itself; name two clusters.")
    label = np.where(groups.label == other, into, groups.label)
    told = _told(groups, into, f"{other} merged in")
    if other in groups.origin:
        told += f" ({other}: {groups.origin[other]})"
    return replace(
        groups,
        label=label,
        medoid=_without(groups.medoid, other) | {into: _medoid(pairs, np.flatnonzero(label == into))},
        key=_without(groups.key, other),
        origin=_without(groups.origin, other) | {into: told},
    )


def split(groups: Groups, number: int, pairs: Pairs) -> Groups:
    """Return the grouping with a cluster split in two where Ward's linkage of its members joins them last.

    The part with the member that names hang on keeps the number.

    Parameters
    ----------
    groups : Groups
        The grouping before.
    number : int
        A cluster of at least two.
    pairs : Pairs
        Distances of the errors.

    Raises
    ------
    UsageError
        If the cluster does not exist or is a single error.
    """
    _check(groups, number)
    members = np.flatnonzero(groups.label == number)
    if len(members) < 2:
        raise UsageError(f"cluster {number} is a single error; choose a larger one to split.")
    halves = flat_labels(pairs.subset(members).linkage(Ward()), 2)
    kept = halves == halves[np.searchsorted(members, groups.key[number])]
    new, label = groups.last + 1, groups.label.copy()
    label[members[~kept]] = new
    medoid = {n: _medoid(pairs, np.flatnonzero(label == n)) for n in (number, new)}
    return Groups(
        label=label,
        medoid=groups.medoid | medoid,
        key=groups.key | {new: medoid[new]},
        origin=groups.origin
        | {number: _told(groups, number, f"{new} split off"), new: f"split off {number}"},
        last=new,
    )


def _check(groups: Groups, number: int) -> None:
    if number not in groups.medoid:
        known = ", ".join(map(str, sorted(groups.medoid)))
        raise UsageError(f"there is no cluster {number}; choose one of: {known}.")


def _told(groups: Groups, number: int, what: str) -> str:
    return f"{groups.origin[number]}, {what}" if number in groups.origin else what


def _without(numbered: dict[int, T], number: int) -> dict[int, T]:
    return {n: value for n, value in numbered.items() if n != number}


def _medoid(pairs: Pairs, rows: np.ndarray) -> int:
    if len(rows) < 2:
        return int(rows[0])
    one = np.ones(len(rows), np.int64)
    sums, _ = pairs.subset(rows).cluster_sums(one)
    return int(rows[medoids(sums, one)[0]])
