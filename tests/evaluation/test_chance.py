"""Intervals of shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hudd.evaluation import wilson


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_it_is_scipy_s_interval(drawn):
    expected = binomtest(*drawn).proportion_ci(method="wilson")
    assert wilson(*drawn) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_counted_says_nothing():
    assert wilson(0, 0) == (0, 1)
