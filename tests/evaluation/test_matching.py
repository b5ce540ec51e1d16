"""Groups that are the same in two clusterings: the laws of the pairs, and cases that a person would decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.evaluation import match_groups

LABELS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), max_size=40)


@given(LABELS)
def test_a_pair_has_half_of_the_smaller_group_and_no_group_is_in_two(rows):
    one, other = np.array(rows, np.int64).reshape(-1, 2).T
    pairs = match_groups(one, other)
    assert [len({pair[side] for pair in pairs}) for side in (0, 1)] == [len(pairs)] * 2
    for a, b in pairs:
        assert min(a, b) >= 1
        smaller = min((one == a).sum(), (other == b).sum())
        assert 2 * ((one == a) & (other == b)).sum() >= smaller > 0


@given(LABELS)
def test_a_clustering_is_matched_with_itself(rows):
    one = np.array([row[0] for row in rows], np.int64)
    assert match_groups(one, one) == [(n, n) for n in np.unique(one[one > 0]).tolist()]


@given(LABELS, st.integers(0, 100))
def test_neither_the_order_of_the_images_nor_that_of_the_clusterings_counts(rows, seed):
    one, other = np.array(rows, np.int64).reshape(-1, 2).T
    order = np.random.default_rng(seed).permutation(len(one))

    def total(pairs, one, other):
        both = [((one == a) & (other == b), (one == a) | (other == b)) for a, b in pairs]
        return sum(common.sum() / union.sum() for common, union in both)

    expected = pytest.approx(total(match_groups(one, other), one, other))
    assert match_groups(one[order], other[order]) == match_groups(one, other)
    assert total(match_groups(other, one), other, one) == expected


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ([1] * 40, [1] * 4 + [0] * 36, [(1, 1)]),  # shrunk
        ([1] * 4 + [0] * 36, [1] * 40, [(1, 1)]),  # grown
        ([1] * 10 + [0] * 30, [1] * 4 + [0] * 6 + [1] * 30, []),  # four that moved to something else
        ([1] * 6 + [2] * 4, [1] * 10, [(1, 1)]),  # joined: the larger part is the same
        ([1] * 10, [1] * 4 + [2] * 6, [(1, 2)]),  # fell apart
        ([0, -1, 0], [1, 1, 2], []),
        ([], [], []),
    ],
)
def test_which_groups_are_the_same(one, other, pairs):
    assert match_groups(np.array(one, np.int64), np.array(other, np.int64)) == pairs
