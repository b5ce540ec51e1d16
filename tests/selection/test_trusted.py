"""Trusted are images of an estimated probability of failure up to a bound, of too many a drawn part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hudd.errors import UsageError
from hudd.selection import failure_rate, select_trusted

rates = arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(0, 1))


@given(rates, st.floats(0, 1))
def test_all_within_the_bound(failure, bound):
    found = select_trusted(failure, bound)
    assert found.dtype == np.int64
    assert found.tolist() == [row for row, rate in enumerate(failure) if rate <= bound]


@given(rates, st.floats(0, 1), st.integers(0, 50), st.integers(0, 2**31))
def test_of_too_many_a_part_is_drawn(failure, bound, most, seed):
    everything, found = select_trusted(failure, bound), select_trusted(failure, bound, most=most, seed=seed)
    assert found.dtype == np.int64
    assert len(found) == min(most, len(everything))
    assert np.isin(found, everything).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found, select_trusted(failure, bound, most=most, seed=seed))


def test_the_draw_goes_by_the_seed():
    drawn = {tuple(select_trusted(np.zeros(50), 0, most=5, seed=seed).tolist()) for seed in range(20)}
    assert len(drawn) > 10


def test_by_default_no_neighbour_fails():
    """At 0.09 of ten neighbours none fails, whatever the failure rate of the test set is."""
    rng = np.random.default_rng(3)
    test = rng.normal(size=(60, 4)).astype(np.float32)
    for share in (0.05, 0.5, 0.9):
        correct = rng.random(60) >= share
        correct[0] = True
        images = rng.normal(size=(40, 4)).astype(np.float32)
        order = np.linalg.norm(images[:, None] - test[None], axis=2).argsort(axis=1)[:, :10]
        trusted = select_trusted(failure_rate(images, test, correct), 0.09)
        assert trusted.tolist() == np.flatnonzero(correct[order].all(axis=1)).tolist()


@pytest.mark.parametrize(
    ("failure", "choices", "told"),
    [
        ([[0.1]], {"bound": 0.5}, r"have shape \(1, 1\); give"),
        ([0.1], {"bound": 1.5}, "from 0 to 1, not 1.5"),
        ([0.1], {"bound": 0.5, "most": -1}, "at least 0, not -1"),
        ([0.1, np.nan], {"bound": 0.5}, "probability of failure of image 1 is not a number"),
    ],
)
def test_refusals(failure, choices, told):
    with pytest.raises(UsageError, match=told):
        select_trusted(np.array(failure), **choices)
