"""McNemar's exact test by its sum of binomials, its laws, and the coverage of the interval of the difference."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.evaluation import mcnemar

COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 300))


@given(COUNTS)
def test_the_p_value_is_the_sum_of_outcomes_as_uneven(counts):
    fixed, regressed, others = counts
    changed = fixed + regressed
    tail = sum(comb(changed, count) for count in range(min(fixed, regressed) + 1)) / 2**changed
    found = mcnemar(fixed, regressed, changed + others)
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))
    assert found.significant == (found.p_value <= 0.05)


@given(COUNTS)
def test_before_and_after_exchanged_turn_the_difference_round(counts):
    fixed, regressed, others = counts
    one, other = (mcnemar(*pair, fixed + regressed + others) for pair in [(fixed, regressed), counts[1::-1]])
    assert one.p_value == pytest.approx(other.p_value)
    np.testing.assert_allclose(one.interval, [-bound for bound in other.interval[::-1]], atol=1e-12)
    assert -1 <= one.interval[0] <= one.interval[1] <= 1
    if one.images:
        assert one.difference == -other.difference


def test_a_difference_has_a_sign_and_a_published_interval():
    # D. G. Bonett and R. M. Price give the interval by two counts that have 1 added, of all with 2 added.
    found = mcnemar(fixed=12, regressed=3, images=100)
    assert found.difference == -0.09
    low, up = 13 / 102, 4 / 102
    half = 1.959964 * np.sqrt((low + up - (up - low) ** 2) / 102)
    np.testing.assert_allclose(found.interval, (up - low - half, up - low + half), rtol=1e-6)


@pytest.mark.parametrize(("fixes", "regresses"), [(0.1, 0.02), (0.05, 0.05), (0.3, 0.1), (0.01, 0.0)])
def test_the_interval_holds_the_true_difference_in_95_of_100_cases(fixes, regresses):
    rng, images, cases = np.random.default_rng(1), 150, 2000
    drawn = rng.multinomial(images, [fixes, regresses, 1 - fixes - regresses], size=cases)
    bounds = np.array([mcnemar(int(f), int(r), images).interval for f, r, _ in drawn])
    held = (bounds[:, 0] <= regresses - fixes) & (regresses - fixes <= bounds[:, 1])
    assert held.mean() >= 0.94


def test_nothing_compared_is_nothing_known():
    found = mcnemar(0, 0, 0)
    assert found.p_value == 1
    assert np.isnan(found.difference)
    assert found.interval == (-1, 1)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -2, 5), (3, 3, 5), (1, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(UsageError, match=r"cannot be; give counts of 0 or more"):
        mcnemar(*counts)
