"""How many threads decode, from how long the caller waits; told in seconds that nobody waits for."""

import numpy as np
import pytest

from hudd.data.loader import Pace, loaded_ahead


def run(pace, seconds_of, computing, batches=400):
    """Let a caller compute for so long at each batch, which take so long to load by so many threads."""
    now = 0.0
    for _ in range(batches):
        before = now
        now += max(0.0, seconds_of(pace.workers) - computing)
        if pace.settled:
            break
        pace.tell(before, now)
        now += computing
    return pace


CASES = {
    "threads help": (8, lambda workers: 1 / workers, 0.01, 8),
    "until the caller computes": (8, lambda workers: 1 / workers, 0.25, 4),
    "the caller computes": (8, lambda workers: 1 / workers, 2.0, 2),
    "threads do not help": (8, lambda workers: 1.0, 0.01, 2),
    "threads help no more": (8, lambda workers: 1 / min(workers, 5), 0.01, 5),
    "threads get in each other's way": (8, lambda workers: 0.3 + 0.1 * max(0, workers - 3), 0.01, 2),
    "there is one processor": (1, lambda workers: 1 / workers, 0.01, 1),
    "there are two": (2, lambda workers: 1 / workers, 0.01, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_threads_are_taken_as_long_as_they_help(case):
    processors, seconds_of, computing, expected = CASES[case]
    pace = run(Pace(processors), seconds_of, computing)
    assert pace.workers == expected
    assert pace.settled
    assert pace.workers <= pace.most


@pytest.mark.parametrize("workers", [0, 1, 3, None])
def test_batches_are_the_same_and_in_order(workers):
    parts = [np.arange(at, at + 2) for at in range(0, 100, 2)]
    found = list(loaded_ahead(lambda rows: rows * 2, parts, workers))
    assert [rows.tolist() for rows, _ in found] == [part.tolist() for part in parts]
    assert all((loaded == 2 * rows).all() for rows, loaded in found)
