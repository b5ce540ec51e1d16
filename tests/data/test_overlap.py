"""Copies of images within and between sets, from their prints."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hudd.data.overlap import Imprint, find_overlap
from hudd.data.prints import Prints

# The halves of the hashes meet in every combination.
HASH = st.tuples(st.sampled_from([0, 1, 2**64 - 1]), st.sampled_from([0, 5, 2**63]))
SET = st.lists(st.tuples(HASH, st.integers(-1, 2)), min_size=1, max_size=12)


def imprint(name, rows):
    pixels = np.array([pixels for pixels, _ in rows], np.uint64)
    thumbnails = np.zeros((len(rows), 8, 9), np.uint8)
    paths = [f"{name}{row}" for row in range(len(rows))]
    return Imprint(paths, np.array([label for _, label in rows]), Prints(pixels, thumbnails))


@given(SET, SET)
def test_copies_are_counted(test, train):
    sets = {"test": test, "train": train}
    found = find_overlap({name: imprint(name, rows) for name, rows in sets.items()}, ["a", "b", "c"])
    doubles = {name: len(rows) - len({pixels for pixels, _ in rows}) for name, rows in sets.items()}
    assert found.doubles == {name: count for name, count in doubles.items() if count}
    labels = defaultdict(set)
    for pixels, label in test + train:
        labels[pixels] |= {label} - {-1}
    assert found.contradicting == sum(len(different) > 1 for different in labels.values())
    for one, low, other, high in found.contradictions:
        places = [where.split(": ") for where in (one, other)]
        pair = [sets[name][int(path.removeprefix(name))] for name, path in places]
        assert pair[0][0] == pair[1][0]
        assert [low, high] == ["abc"[label] for _, label in pair]
        assert low == "abc"[min(labels[pair[0][0]])]
        assert high == "abc"[max(labels[pair[0][0]])]
