"""Selections that spread over features, against plain loops over whole matrices of distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from hudd.errors import UsageError
from hudd.selection import (
    diverse,
    select_badge,
    select_core_set,
    select_entropy_kmeans,
    select_typical,
)


def cloud(count=80, width=5, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width))


def blobs(sizes, seed=0):
    """Well separated groups, and the number of each row's."""
    rng, group = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    group = rng.permutation(group)
    return np.eye(len(sizes))[group] * 100 + rng.normal(size=(len(group), len(sizes))), group


def residuals(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.dirichlet(np.ones(classes), count)
    found[np.arange(count), found.argmax(axis=1)] -= 1
    return found


@pytest.mark.parametrize("seed", range(3))
def test_core_set_takes_the_farthest(seed):
    features = cloud(seed=seed)
    distances = cdist(features, features)
    chosen = select_core_set(features, 20, seed=seed).tolist()
    for place in range(1, 20):
        assert chosen[place] == distances[:, chosen[:place]].min(axis=1).argmax()
    assert len({select_core_set(features, 1, seed=s).item() for s in range(10)}) > 5


@pytest.mark.parametrize("seed", range(3))
def test_badge_is_kmeans_plus_plus_on_whole_gradients(seed):
    features, residual = cloud(seed=seed), residuals(80, 4, seed)
    gradient = np.einsum("mk,md->mkd", residual, features).reshape(80, -1)
    rng, chosen = np.random.default_rng(seed), [int(np.linalg.norm(gradient, axis=1).argmax())]
    while len(chosen) < 20:
        squared = cdist(gradient, gradient[chosen], "sqeuclidean").min(axis=1)
        squared[chosen] = 0
        chosen.append(int(np.searchsorted(np.cumsum(squared), rng.random() * squared.sum(), side="right")))
    assert select_badge(features, residual, 20, seed=seed).tolist() == chosen


def test_badge_draws_by_the_squared_distance():
    features, residual = np.array([[3.0], [2.0], [1.0], [0.0]]), np.ones((4, 1))
    second = np.array([select_badge(features, residual, 2, seed=seed)[1] for seed in range(600)])
    expected = np.array([1, 4, 9]) / 14
    np.testing.assert_allclose(np.bincount(second, minlength=4)[1:] / 600, expected, atol=0.06)


def by_typicality(features, rows):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distances = np.sort(cdist(unit[rows], unit[rows]), axis=1)[:, 1:21]
    return rows[np.argsort(distances.mean(axis=1))] if len(rows) > 1 else rows


@pytest.mark.parametrize("most", [6, 3])
def test_typiclust_takes_the_most_typical_of_each_cluster_largest_first(monkeypatch, most):
    monkeypatch.setattr(diverse, "_MOST_CLUSTERS", most)
    sizes = (40, 30, 25) if most == 3 else (40, 30, 25, 12, 5, 1)
    features, group = blobs(sizes)
    chosen = select_typical(features, 6, seed=1)
    own = [by_typicality(features, np.flatnonzero(group == g)) for g in range(len(sizes))]
    expected = [rows[place] for place in range(6 // len(sizes)) for rows in own]
    assert chosen.tolist() == expected


def test_entropy_kmeans_takes_the_nearest_to_each_centre_of_the_most_uncertain():
    features, group = blobs((9, 7, 5, 3))
    certain, _ = blobs((20, 20), seed=5)
    features = np.vstack([features, np.pad(certain, ((0, 0), (0, 2)))])
    entropy = np.r_[np.full(24, 2.0), np.zeros(40)] + np.random.default_rng(0).random(64) / 9
    chosen = select_entropy_kmeans(entropy, features, 6, seed=0)  # of 24
    assert len(set(chosen.tolist())) == 6
    assert (chosen < 24).all()
    assert (np.diff(entropy[chosen]) <= 0).all()
    chosen = select_entropy_kmeans(entropy[:24], features[:24], 4, seed=0)
    assert set(group[chosen].tolist()) == {0, 1, 2, 3}
    uncertain = np.isin(np.arange(24), np.argsort(-entropy[:24])[:16])
    for row in chosen.tolist():
        rows = np.flatnonzero((group == group[row]) & uncertain)
        away = np.linalg.norm(features[rows] - features[rows].mean(axis=0), axis=1)
        assert away[rows == row] <= away.min() + 1e-9


SELECTIONS = {
    "core-set": lambda x, e, n, seed: select_core_set(x, n, seed=seed),
    "badge": lambda x, e, n, seed: select_badge(x, residuals(len(x), 3), n, seed=seed),
    "typiclust": lambda x, e, n, seed: select_typical(x, n, seed=seed),
    "entropy-kmeans": lambda x, e, n, seed: select_entropy_kmeans(e, x, n, seed=seed),
}


@pytest.mark.parametrize("name", SELECTIONS)
@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 25), distinct=st.integers(1, 25), seed=st.integers(0, 99), data=st.data())
def test_distinct_rows_whatever_coincides(name, count, distinct, seed, data):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(distinct, 3)).astype(np.float32)[rng.integers(distinct, size=count)]
    entropy, budget = rng.random(count), data.draw(st.integers(0, count))
    chosen = SELECTIONS[name](features, entropy, budget, seed)
    assert len(set(chosen.tolist())) == len(chosen) == budget
    assert chosen.dtype == np.int64
    assert chosen.tolist() == SELECTIONS[name](features, entropy, budget, seed).tolist()


@pytest.mark.parametrize("name", SELECTIONS)
def test_of_many_rows_some_are_fitted(monkeypatch, name):
    monkeypatch.setattr(diverse, "_FITTED", 100)
    monkeypatch.setattr(diverse, "_BLOCK", 64)
    features, group = blobs((90, 80, 70, 60))
    chosen = SELECTIONS[name](features.astype(np.float32), np.ones(300), 4, 0)
    assert len(set(chosen.tolist())) == 4
    if name != "badge":
        assert set(group[chosen].tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize(
    ("features", "budget", "message"),
    [
        (np.ones((3, 2)), 4, "4 images were asked for but the improvement set has 3"),
        (np.ones(3), 1, r"features have shape \(3,\)"),
        (np.full((3, 2), np.nan), 1, "the features of improvement image 0 are not numbers"),
    ],
)
def test_what_cannot_be_used_is_named(name, features, budget, message):
    with pytest.raises(UsageError, match=message):
        SELECTIONS[name](features, np.ones(3), budget, 0)


def test_lengths_must_agree():
    with pytest.raises(UsageError, match="3 features but 2 residuals"):
        select_badge(np.ones((3, 2)), np.ones((2, 2)), 1)
    with pytest.raises(UsageError, match="3 features but 2 entropies"):
        select_entropy_kmeans(np.ones(2), np.ones((3, 2)), 1)
