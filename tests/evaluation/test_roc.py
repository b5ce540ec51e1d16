"""Areas under the curve by counting pairs, their laws, and how often the intervals hold the true value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from hudd.errors import UsageError
from hudd.evaluation import auroc, auroc_difference


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12))
def test_the_area_is_the_share_of_pairs_in_order(seed, failures, others):
    rng = np.random.default_rng(seed)
    failed = rng.permutation(np.repeat([True, False], [failures, others]))
    score, other = rng.integers(0, 5, (2, failures + others)).astype(float)
    pairs = score[failed][:, None] - score[~failed][None]
    one, two = auroc(failed, score, other)
    assert one.value == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    # The variance is that of the two shares that each image brings, as DeLong et al. write it.
    shares = (pairs > 0) + 0.5 * (pairs == 0)
    parts = [shares.mean(axis).var(ddof=1) / len(shares.mean(axis)) for axis in (0, 1)]
    assert one.variance == pytest.approx(sum(parts))
    low, high = one.interval
    assert 0 <= low <= one.value <= high <= 1
    assert auroc(failed, -score)[0].value == pytest.approx(1 - one.value)
    assert auroc(failed, np.exp(score))[0].value == pytest.approx(one.value)
    difference = auroc_difference(failed, score, other)
    assert difference.value == pytest.approx(one.value - two.value)
    assert auroc_difference(failed, score, score).interval == (0, 0)
    np.testing.assert_allclose(
        auroc_difference(failed, other, score).interval,
        [-bound for bound in difference.interval[::-1]],
        atol=1e-12,
    )


def test_the_intervals_hold_the_true_values():
    rng, held, apart = np.random.default_rng(4), [], []
    for _ in range(600):
        failed = np.arange(240) < 60
        common = rng.normal(size=240)
        one, other = (common + rng.normal(size=240) + shift * failed for shift in (1.2, 0.6))
        low, high = auroc(failed, one)[0].interval
        held.append(low <= norm.cdf(1.2 / 2) <= high)
        low, high = auroc_difference(failed, one, other).interval
        apart.append(low <= norm.cdf(1.2 / 2) - norm.cdf(0.6 / 2) <= high)
    assert 0.925 <= np.mean(held) <= 0.975
    assert 0.925 <= np.mean(apart) <= 0.975


@pytest.mark.parametrize("failures", [0, 1, 9, 10])
def test_of_one_image_nothing_can_be_said(failures):
    with pytest.raises(UsageError, match="nothing can be said"):
        auroc(np.arange(10) < failures, np.arange(10.0))


def test_scores_that_tell_all_images_apart_are_not_certain_to_do_so_again():
    failed = np.arange(50) < 20
    (perfect,), (reversed_,) = auroc(failed, -np.arange(50.0)), auroc(failed, np.arange(50.0))
    assert perfect.interval == pytest.approx((0.025 ** (1 / 20), 1))
    assert reversed_.interval == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
