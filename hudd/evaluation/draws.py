"""How good the best condition is on random sets of rows, all sets at once."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from hudd.caches import compiled

_TOGETHER = 1 << 21  # members of random sets that are sorted at a time
_SORTED = 1 << 20  # rows of the pool, once a set, up to which sets are drawn by sorting random numbers


def random_sets(
    member: np.ndarray,
    pool: np.ndarray,
    strata: np.ndarray,
    count: int,
    rng: np.random.Generator,
    most: int | None = None,
) -> np.ndarray:
    """Draw sets of as many rows of each stratum as there are members, from the rows in the pool.

    Parameters
    ----------
    member, pool : np.ndarray
        (N,) bool; every member is in the pool.
    strata : np.ndarray
        (N,) int.
    count : int
        Sets.
    rng : numpy.random.Generator
        Source of the draws.
    most : int, optional
        Rows of a set, about; of more members, each stratum has the same share.

    Returns
    -------
    np.ndarray
        (count, m) int64 row numbers.
    """
    parts, members = [], int(member.sum())
    share = 1.0 if most is None or members <= most else most / members
    for one in np.unique(strata[member]):
        rows, wanted = np.flatnonzero(pool & (strata == one)), int((member & (strata == one)).sum())
        wanted = wanted if share == 1 else max(1, round(share * wanted))
        if count * len(rows) <= _SORTED:
            drawn = np.argpartition(rng.random((count, len(rows))), wanted - 1, axis=1)[:, :wanted]
        else:
            drawn = np.stack([rng.choice(len(rows), wanted, False, shuffle=False) for _ in range(count)])
        parts.append(rows[drawn])
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Column:
    """The rows of one parameter by their values.

    Attributes
    ----------
    place : np.ndarray
        (N,) int32 place of each row in ascending order, the unknown last.
    rows : np.ndarray
        (n,) int64 rows whose value is known, in that order.
    before, through : np.ndarray
        (n,) int32 by place: how many have a lower value; how many a value up to this one.
    """

    place: np.ndarray
    rows: np.ndarray
    before: np.ndarray
    through: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, order: np.ndarray) -> Column:
        """Rank (N,) values, NaN where unknown, by their ascending order, NaN last."""
        rows = order[: int(np.isfinite(values).sum())]
        ordered = values[rows]
        sides = (np.searchsorted(ordered, ordered, side).astype(np.int32) for side in ("left", "right"))
        place = np.empty(len(values), np.int32)
        place[order] = np.arange(len(values), dtype=np.int32)
        return cls(place, rows, *sides)


def best_worths(
    columns: Sequence[Column],
    forms: Sequence[Set[str]],
    sets: np.ndarray,
    gain: np.ndarray,
    loss: np.ndarray,
    cost: float,
) -> np.ndarray:
    """Return what the best condition on each column is worth for each set of rows that should fit.

    It is what :meth:`hudd.evaluation.conditions.Conditions.best` finds where a row of the set adds its gain less its
    loss, and every other row takes off its loss. The ends of the best range lie next to members, so that only these
    are sorted.

    Parameters
    ----------
    columns : sequence of Column
        The parameters.
    forms : sequence of set of str
        What may be asked of each column: "below", "above", "inside" or "outside" of bounds.
    sets : np.ndarray
        (P, m) int64 rows.
    gain, loss : np.ndarray
        (N,) what a row adds where it is in the set; what it takes off in any case.
    cost : float
        What each bound takes off.

    Returns
    -------
    np.ndarray
        (P, columns) float64, at least 0.
    """
    found = np.zeros((len(columns), len(sets)))
    step = max(1, _TOGETHER // sets.shape[1])
    for best, column, allowed in zip(found, columns, forms):
        lost = np.concatenate([[0.0], np.cumsum(loss[column.rows])])
        asked = tuple(form in allowed for form in ("below", "above", "inside", "outside"))
        for start in range(0, len(sets), step):
            part = slice(start, start + step)
            places = np.sort(column.place[sets[part]], axis=1)
            _raise(best[part], places, gain[column.rows], lost, column.before, column.through, cost, asked)
    return found.T


@compiled(nogil=True)
def _raise(
    best: np.ndarray,
    places: np.ndarray,
    gain: np.ndarray,
    lost: np.ndarray,
    before: np.ndarray,
    through: np.ndarray,
    cost: float,
    asked: tuple[bool, ...],
) -> None:
    """Raise each set's best worth to that of one column, whose places in order are (P, m), ascending.

    `lost` are the sums of losses over the ordered rows, `asked` says which of the four forms count. What all known rows
    fit is no condition.
    """
    known = len(gain)
    for one in range(len(places)):
        total = 0.0
        # The best sum up to the end of a range that stops behind a member, the lowest up to the start of one that
        # begins before a member, and what lies between them; none is between equal values.
        below, lowest, inside, gap = -np.inf, np.inf, -np.inf, np.inf
        highest, further, last = -np.inf, -np.inf, -1
        for at in range(places.shape[1]):
            here = places[one, at]
            if here >= known:
                break
            total += gain[here]
            following = places[one, at + 1] if at + 1 < places.shape[1] else known
            if last < 0 or through[last] != through[here]:
                start = total - gain[here] - lost[before[here]]
                # Between a member and the next one there may be no row to leave out.
                if last >= 0:
                    gap = min(gap, start - (further if through[last] >= before[here] else highest))
                if before[here] > 0:  # one that begins with the first row is none above a bound
                    lowest = min(lowest, start)
            further = highest
            if following >= known or through[following] != through[here]:
                stop = total - lost[through[here]]
                highest = max(highest, stop)
                if through[here] < known:  # one that ends with the last known row is none below a bound
                    below = max(below, stop)
                    inside = max(inside, stop - lowest)
            last = here
        total -= lost[known]
        if asked[0]:
            best[one] = max(best[one], below - cost)
        if asked[1]:
            best[one] = max(best[one], total - lowest - cost)
        if asked[2]:
            best[one] = max(best[one], inside - 2 * cost)
        if asked[3]:
            best[one] = max(best[one], total - gap - 2 * cost)
