"""The failure rate among neighbours equals brute force, in blocks as at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import failure_rate, sampled_doubt


@pytest.mark.slow
@given(st.integers(0, 99), st.integers(1, 12), st.integers(40, 2000), st.integers(3, 40))
@settings(deadline=None, max_examples=20)
def test_equals_brute_force(seed, neighbours, memory, block):
    rng = np.random.default_rng(seed)
    images, test, correct = rng.normal(size=(33, 4)), rng.normal(size=(29, 4)), rng.random(29) < 0.6
    blocks = (images[i : i + block] for i in range(0, 33, block))
    rates = failure_rate(blocks, test, correct, neighbours=neighbours, memory=memory)
    pairs = ((images[:, None] - test[None]) ** 2).sum(-1)
    nearest = np.argsort(pairs, axis=1)[:, :neighbours]
    np.testing.assert_allclose(rates, ((~correct)[nearest].sum(1) + (~correct).mean()) / (neighbours + 1))


class Watched:
    """Heatmaps in a file, and the most of them that were read at a time."""

    def __init__(self, array):
        self.array, self.shape, self.most = array, array.shape, 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, key):
        self.most = max(self.most, len(self.array[key]))
        return self.array[key]


@pytest.mark.parametrize(("memory", "most"), [(160, 10), (10_000, 29)])
def test_no_more_test_heatmaps_are_held_than_the_memory_takes(memory, most):
    watched = Watched(np.random.default_rng(0).normal(size=(29, 4)))
    failure_rate(np.zeros((3, 4)), watched, np.ones(29, bool), memory=memory)
    assert watched.most == most


def test_finds_the_region_where_the_dnn_fails():
    rng = np.random.default_rng(0)
    test, images = rng.random((500, 2)), rng.random((200, 2))
    rates = failure_rate(images, test, correct=test[:, 0] > 0.3)
    assert rates[images[:, 0] < 0.2].min() > rates[images[:, 0] > 0.4].max()
    assert (failure_rate(images, test, np.ones(500, bool)) == 0).all()


@pytest.mark.parametrize(
    ("images", "correct", "neighbours", "words"),
    [
        (np.ones((2, 3)), np.ones(3, bool), 1, "4 test heatmaps but 3"),
        (np.ones((2, 3)), np.ones(4, bool), 5, "1 to 4"),
        (np.ones((2, 5)), np.ones(4, bool), 1, "same layer"),
    ],
)
def test_wrong_calls_are_named(images, correct, neighbours, words):
    with pytest.raises(UsageError, match=words):
        failure_rate(images, np.ones((4, 3)), correct, neighbours=neighbours)


def test_sampled_doubt_draws_by_weight_without_replacement():
    doubt = np.array([0.0, 1, 2, 3, 4])
    first = [int(np.argmax(sampled_doubt(doubt, seed=seed))) for seed in range(4000)]
    np.testing.assert_allclose(np.bincount(first, minlength=5) / 4000, doubt / 10, atol=0.025)
    np.testing.assert_array_equal(sampled_doubt(doubt, seed=1), sampled_doubt(doubt, seed=1))
    assert np.isfinite(sampled_doubt(np.zeros(3), seed=0)).all()
    # The lottery of a seed stays the same, and is not that of anything else drawn by this seed.
    expected = np.log([1.0, 2, 3]) + np.random.default_rng([5, 2**21]).gumbel(size=3)
    np.testing.assert_array_equal(sampled_doubt(np.array([1.0, 2, 3]), seed=5), expected)
    for bad in ([-1.0], [np.nan]):
        with pytest.raises(UsageError, match="not negative"):
            sampled_doubt(np.array(bad), seed=0)
