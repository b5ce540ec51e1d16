"""Bags are balanced to one image, whatever the counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import (
    balance,
    balance_weights,
    bootstrap,
    select_bl1,
    select_bl2,
    select_entropy,
    select_random,
)


def spread(values, counts=None):
    counts = np.unique(values, return_counts=True)[1] if counts is None else counts
    return max(counts) - min(counts)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=40),
    st.none() | st.integers(0, 200),
    st.integers(0, 9),
)
def test_equal_shares_exact_to_one_image(rows, size, seed):
    clusters, classes = np.array(rows).T
    images = np.arange(len(rows)) * 7
    bag = balance((images, clusters), seed=seed, size=size)
    count = np.unique(clusters, return_counts=True)[1]
    assert len(bag) == (count.max() * len(count) if size is None else size)
    of = dict(zip(images, clusters))
    share = {c: sum(of[i] == c for i in bag) for c in clusters}
    assert spread(None, list(share.values())) <= 1
    for cluster in share:  # no image is starved for another of its cluster
        repeats = [np.count_nonzero(bag == i) for i in images[clusters == cluster]]
        assert spread(None, repeats) <= 1
    np.testing.assert_array_equal(bag, balance((images, clusters), seed=seed, size=size))

    nested = balance((images, clusters), seed=seed, size=size, classes=classes)
    class_of = dict(zip(images, classes))
    for cluster in share:
        inside = [class_of[i] for i in nested if of[i] == cluster]
        counts = [inside.count(c) for c in set(classes[clusters == cluster])]
        assert spread(None, counts) <= 1


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=40),
    st.none() | st.integers(1, 200),
)
def test_weights_are_the_shares_of_the_bag(rows, size):
    clusters, classes = np.array(rows).T
    images = np.arange(len(rows))
    bag = balance((images, clusters), size=size)
    weights = balance_weights((images, clusters), size=size)
    assert weights.sum() == pytest.approx(len(bag))
    shares = [weights[clusters == c].sum() for c in np.unique(clusters)]
    assert np.ptp(shares) == pytest.approx(0, abs=1e-9)
    assert all(np.ptp(weights[clusters == c]) == 0 for c in np.unique(clusters))
    nested = balance_weights((images, clusters), size=size, classes=classes)
    for cluster in np.unique(clusters):
        inside = clusters == cluster
        parts = [nested[inside & (classes == c)].sum() for c in np.unique(classes[inside])]
        assert parts == pytest.approx([len(bag) / len(shares) / len(parts)] * len(parts))


def test_seeds_give_different_bags():
    groups = np.repeat([1, 2], [30, 11])
    assert (
        balance((np.arange(41), groups), seed=0).tolist() != balance((np.arange(41), groups), seed=1).tolist()
    )


def test_the_seed_of_a_bag_is_0():
    pair = (np.arange(41), np.repeat([1, 2], [30, 11]))
    assert balance(pair).tolist() == balance(pair, seed=0).tolist()
    entropy = np.zeros(30)
    assert select_entropy(entropy, 9).tolist() == select_entropy(entropy, 9, seed=0).tolist()
    assert select_entropy(entropy, 9).tolist() != select_entropy(entropy, 9, seed=1).tolist()


def test_a_budget_of_everything_or_nothing():
    assert sorted(select_random(5, 5, seed=3).tolist()) == list(range(5))
    assert len(select_random(5, 0, seed=3)) == len(select_bl2(5, 0, seed=3)) == 0
    for count, budget in ((0, 1), (5, -1)):
        with pytest.raises(UsageError, match=f"cannot draw {budget} images of {count}"):
            select_bl2(count, budget, seed=0)
    with pytest.raises(UsageError, match="-1 images were asked for"):
        select_random(5, -1, seed=0)
    assert len(bootstrap(np.array([], int), 0, seed=0)) == 0
    assert set(select_bl2(7, 500, seed=0).tolist()) == set(range(7))


def test_nothing_selected_is_named():
    with pytest.raises(UsageError, match="empty"):
        balance((np.array([], int), np.array([], int)))
    with pytest.raises(UsageError, match="as many groups"):
        balance((np.arange(3), np.arange(2)))
    with pytest.raises(UsageError, match="-1 images"):
        balance((np.arange(2), np.arange(2)), size=-1)


def test_random_and_entropy():
    chosen = select_random(100, 30, seed=1)
    assert len(set(chosen.tolist())) == 30
    entropy = np.array([0.1, 0.9, 0.5, 0.9])
    assert sorted(select_entropy(entropy, 2).tolist()) == [1, 3]
    assert select_entropy(entropy, 3)[2] == 2
    with pytest.raises(UsageError, match="has 100"):
        select_random(100, 101, seed=0)
    with pytest.raises(UsageError, match="image 1 is not"):
        select_entropy(np.array([0.0, np.nan]), 1)


def test_bl1_keeps_the_errors_of_what_bl2_draws():
    correct = np.arange(200) % 4 > 0
    drawn, kept = select_bl2(200, 80, seed=5), select_bl1(correct, 80, seed=5)
    assert kept.tolist() == [i for i in drawn if i % 4 == 0]
    assert len(kept) == pytest.approx(20, abs=12)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200), st.integers(0, 2**31))
def test_of_a_bag_at_most_two_thirds_are_errors(right, wrong, size, seed):
    images = np.random.default_rng(seed).permutation(100)[: max(1, right + wrong)]
    correct = np.arange(len(images)) < right
    bag = bootstrap(images, size, seed=seed, correct=correct)
    assert len(bag) == size
    if size >= 1.5 * len(images):
        assert set(bag.tolist()) == set(images.tolist())
    if 0 < correct.sum() < len(images) / 3:
        assert np.isin(bag, images[correct]).sum() == round(size / 3)
    else:
        np.testing.assert_array_equal(bag, bootstrap(images, size, seed=seed))


def test_bootstrap_grows_to_size():
    bag = bootstrap(np.array([3, 5, 8]), 50, seed=0)
    assert bag[:3].tolist() == [3, 5, 8]
    assert len(bag) == 50
    assert set(bag.tolist()) == {3, 5, 8}
    assert bootstrap(np.array([3, 5, 8]), 2, seed=0).tolist() == [3, 5]
    with pytest.raises(UsageError, match="no image was selected"):
        bootstrap(np.array([], int), 4, seed=0)
