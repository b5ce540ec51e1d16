"""How good the best condition is on random sets of rows, all sets at once."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

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
            drawn = np.argsort(rng.random((count, len(rows))), axis=1, kind="stable")[:, :wanted]
        else:
            drawn = np.stack([rng.choice(len(rows), wanted, False, shuffle=False) for _ in range(count)])
        parts.append(rows[drawn])
    return np.concatenate(parts, axis=1)


def best_worths(
    table: np.ndarray,
    order: np.ndarray,
    known: np.ndarray,
    forms: Sequence[Set[str]],
    sets: np.ndarray,
    gain: np.ndarray,
    loss: np.ndarray,
    cost: float,
) -> np.ndarray:
    """Return what the best condition is worth for each set of rows that should fit.

    It is what :meth:`hudd.evaluation.conditions.Conditions.best` finds where a row of the set adds its gain less its
    loss, and every other row takes off its loss. The ends of the best range lie next to members, so that only these
    are sorted.

    Parameters
    ----------
    table : np.ndarray
        (f, N) columns, NaN where a row has no value.
    order, known : np.ndarray
        (f, N) int64 rows of each column in ascending order, NaN last; (f,) how many are known.
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
        (P,) float64, at least 0.
    """
    best = np.zeros(len(sets))
    step = max(1, _TOGETHER // sets.shape[1])
    for values, rows, count, allowed in zip(table, order, known.tolist(), forms):
        lost = np.concatenate([[0], np.cumsum(loss[rows[:count]])])
        ordered = values[rows[:count]]
        before, through = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
        place = np.empty(len(values), np.int32)
        place[rows] = np.arange(len(values))
        for start in range(0, len(sets), step):
            part = slice(start, start + step)
            found = rows[np.sort(place[sets[part]], axis=1)]
            worth = _worth(found, np.isfinite(values[found]), gain, lost, before, through, cost, allowed)
            best[part] = np.maximum(best[part], worth)
    return best


def _worth(
    rows: np.ndarray,
    known: np.ndarray,
    gain: np.ndarray,
    lost: np.ndarray,
    before: np.ndarray,
    through: np.ndarray,
    cost: float,
    forms: Set[str],
) -> np.ndarray:
    """Worth of the best condition on one column, of sets whose rows are in its order, (P, m).

    `lost` are the sums of losses over the ordered rows; of each row, `before` counts the rows with lower values and
    `through` those with values up to its own. What all known rows fit is no condition.
    """
    gained = np.where(known, gain[rows], 0)
    sums = np.cumsum(gained, axis=1)
    total = sums[:, -1] - lost[-1]
    # Sums up to the end of a range that stops behind a member, and up to the start of one that begins before it; none
    # is between equal values.
    equal = through[rows[:, :-1]] == through[rows[:, 1:]]
    edge = np.zeros((len(rows), 1), bool)
    stop = np.where(known & ~np.hstack([equal, edge]), sums - lost[through[rows]], -np.inf)
    start = np.where(known & ~np.hstack([edge, equal]), sums - gained - lost[before[rows]], np.inf)
    # A range that ends with the last known row is no range below a bound, one that begins with the first none above.
    inner_stop = np.where(through[rows] == len(lost) - 1, -np.inf, stop)
    inner_start = np.where(before[rows] == 0, np.inf, start)
    worth = np.zeros(len(rows))
    if "below" in forms:
        worth = np.maximum(worth, inner_stop.max(axis=1) - cost)
    if "above" in forms:
        worth = np.maximum(worth, total - inner_start.min(axis=1) - cost)
    if "inside" in forms:
        inside = (inner_stop - np.minimum.accumulate(inner_start, axis=1)).max(axis=1)
        worth = np.maximum(worth, inside - 2 * cost)
    if "outside" in forms:
        # Between a member and the next one there may be no row to leave out.
        highest = np.maximum.accumulate(stop, axis=1)[:, :-1]
        further = np.hstack([np.full((len(rows), 1), -np.inf), highest[:, :-1]])
        adjacent = through[rows[:, :-1]] >= before[rows[:, 1:]]
        gap = start[:, 1:] - np.where(adjacent, further, highest)
        worth = np.maximum(worth, total - gap.min(axis=1, initial=np.inf) - 2 * cost)
    return worth
