import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from hudd.clustering.stability import _agreement, stability
from hudd.errors import UsageError


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 5))
def test_agreement_is_the_adjusted_rand_index(seed, n, k):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(1, k + 1, n), rng.integers(1, 4, n)
    overall, clusters = _agreement(old, new, k)
    assert overall == pytest.approx(adjusted_rand_score(old, new))
    for label in range(1, k + 1):
        if not (old == label).any():
            assert np.isnan(clusters[label - 1])
            continue
        wanted = max(adjusted_rand_score(old == label, new == other) for other in range(1, new.max() + 1))
        assert clusters[label - 1] == pytest.approx(wanted)


def test_a_clear_cluster_is_stable_and_an_arbitrary_cut_is_not():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((40, 5)) + 40, rng.standard_normal((80, 5))])
    labels = np.r_[np.ones(40, int), 2 + (x[40:, 0] > 0)]  # one real group, one cut in half
    found = stability(pdist(x), labels, seed=0, resamples=20)
    assert found.clusters[0] == pytest.approx(1)
    assert found.clusters[1:].max() < 0.7
    assert found.overall.shape == (20,)


def test_the_seed_decides():
    d = pdist(np.random.default_rng(1).random((30, 3)))
    labels = np.arange(30) % 3 + 1
    a, b, c = (stability(d, labels, seed=seed, resamples=5) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.overall, b.overall)
    assert (a.overall != c.overall).any()


def test_singletons_and_two_rows():
    found = stability(np.ones(1), np.array([1, 2]), seed=0, resamples=3)
    assert found.clusters.shape == (2,)
    found = stability(pdist(np.random.default_rng(2).random((12, 2))), np.r_[1, np.full(11, 2)], seed=0)
    assert np.isfinite(found.clusters).all()


@pytest.mark.parametrize(
    ("labels", "resamples"), [(np.ones(4, int), 5), (np.ones(3, int), 0), ([1, 1, -1], 5), ([0, 0, 0], 5)]
)
def test_wrong_calls_say_what_to_do(labels, resamples):
    with pytest.raises(UsageError, match=r"label|resamples"):
        stability(np.ones(3), labels, seed=0, resamples=resamples)
