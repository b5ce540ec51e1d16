"""Causes: what the splits of a dendrogram must be to count, and what a cause has in common."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.clustering import cluster, find_causes, join_causes, shared_deviation
from hudd.clustering.causes import LEVEL
from hudd.distances import pairwise_distances


def groups(sizes, apart, d=12, seed=0):
    """Gaussian groups whose centres are at random, `apart` deviations from the origin."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(sizes), d))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[truth] + rng.standard_normal((len(truth), d))).astype(np.float32), truth


def causes_of(rows, **options):
    found = cluster(rows, preset="moments", cluster_size=10)
    return found, find_causes(found, pairwise_distances(rows, condensed=True), rows, **options)


@pytest.mark.parametrize("sizes", [(60, 60), (90, 60, 30), (40, 40, 40, 40, 40, 40)])
def test_groups_that_are_far_apart_are_the_causes(sizes):
    rows, truth = groups(sizes, apart=9)
    found, causes = causes_of(rows)
    label = causes.of_cluster[found.labels - 1]
    assert len(causes.medoid) == len(sizes) < found.k
    assert all(len(set(label[truth == group])) == 1 for group in range(len(sizes)))
    assert causes.common.all()
    assert (np.diff(np.bincount(label)[1:]) <= 0).all()
    assert (label[causes.medoid] == np.arange(1, len(sizes) + 1)).all()


def test_a_small_group_is_a_cause_though_hardly_any_variance_is_its_own():
    rows, truth = groups((300, 8), apart=0, d=40)
    rows[truth == 1, 0] += 7
    found, causes = causes_of(rows)
    label = causes.of_cluster[found.labels - 1]
    assert len(causes.medoid) == 2
    assert (label == 2 - truth).all()  # what has nothing in common comes last


def test_one_gaussian_is_one_cause():
    many = [len(causes_of(groups((120,), apart=0, seed=seed)[0])[1].medoid) for seed in range(6)]
    assert np.median(many) == 1


def test_a_level_of_zero_makes_one_cause_and_one_of_one_leaves_every_cluster():
    rows, _ = groups((50, 50), apart=9)
    found, one = causes_of(rows, level=0.0)
    assert set(one.of_cluster) == {1}
    assert np.isnan(one.p_apart).all()
    assert len(causes_of(rows, level=1.0)[1].medoid) == found.k


def test_errors_without_a_common_direction_come_last():
    rows, truth = groups((40, 80), apart=9)
    rows[truth == 1] -= rows[truth == 1].mean(axis=0)
    found, causes = causes_of(rows)
    label = causes.of_cluster[found.labels - 1]
    assert causes.common.tolist() == [True] + [False] * (len(causes.medoid) - 1)
    assert set(label[truth == 0]) == {1}


def test_without_deviations_all_are_taken_to_have_something_in_common():
    rows, _ = groups((40, 40), apart=9)
    found = cluster(rows, preset="moments", cluster_size=10)
    causes = find_causes(found, pairwise_distances(rows, condensed=True))
    assert np.isnan(causes.shared).all()
    assert causes.common.all()


def test_without_a_dendrogram_every_cluster_is_a_cause():
    rows, _ = groups((40, 30, 20), apart=9)
    found = cluster(rows, preset="moments", clusterer="kmeans")
    causes = find_causes(found, np.empty(0, np.float32))
    assert sorted(causes.of_cluster) == list(range(1, found.k + 1))
    assert sorted(causes.medoid) == sorted(found.medoids)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_errors_are_one_cause(count):
    rows = np.eye(count, 4, dtype=np.float32)
    found = cluster(rows, preset="moments")
    causes = find_causes(found, pairwise_distances(rows, condensed=True), rows)
    assert len(causes.medoid) == 1


def test_equal_errors_are_one_cause():
    rows = np.ones((30, 5), np.float32)
    found = cluster(rows, preset="moments")
    assert set(find_causes(found, pairwise_distances(rows, condensed=True), rows).of_cluster) == {1}


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_causes_are_unions_of_clusters_with_p_on_the_right_side_of_the_level(seed, sizes):
    rows, _ = groups(sizes, apart=5, seed=seed)
    found, causes = causes_of(rows)
    c = len(causes.medoid)
    assert len(causes.of_cluster) == found.k
    assert set(causes.of_cluster) == set(range(1, c + 1))
    assert not (causes.p_inside <= LEVEL).any()
    scaled = find_causes(found, 8 * pairwise_distances(rows, condensed=True), 8 * rows)
    assert (scaled.of_cluster == causes.of_cluster).all()
    for name in ("shared", "p_apart", "p_inside"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(causes, name), rtol=1e-4, atol=1e-9)


def test_labels_that_are_no_cut_are_causes_each():
    rows, _ = groups((40, 30), apart=9)
    found = cluster(rows, preset="moments", cluster_size=10)
    mixed = dataclasses.replace(found, labels=np.arange(len(rows)) % found.k + 1)
    assert len(find_causes(mixed, pairwise_distances(rows, condensed=True)).medoid) == found.k


def test_what_is_shared_is_shared_within_clusters():
    rows = np.array([[1, 1], [1, -1], [2, 0], [2, 0], [-2, 0], [-2, 0], [0, 0], [0, 0], [5, 5]], float)
    labels = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5])
    shared = shared_deviation(rows, labels, np.array([1, 2, 2, 3, 4]))
    np.testing.assert_allclose(shared, [0, 1, np.nan, np.nan], atol=1e-12)
    assert shared_deviation(rows[:6], labels[:6], np.array([1, 1, 1])) == pytest.approx(2 / 3)


def test_errors_that_deviate_each_in_its_own_way_share_nothing():
    rows = np.random.default_rng(0).standard_normal((400, 60))
    assert abs(shared_deviation(rows, np.arange(400) // 40 + 1, np.ones(10, int))[0]) < 0.02


def test_joined_causes_are_described_as_one():
    rows, _ = groups((60, 40, 30), apart=9)
    found, causes = causes_of(rows)
    distances = pairwise_distances(rows, condensed=True)
    assert join_causes(causes, np.array([1, 2, 3]), found, distances, rows) is causes
    joined = join_causes(causes, np.array([1, 2, 2]), found, distances, rows)
    label, before = joined.of_cluster[found.labels - 1], causes.of_cluster[found.labels - 1]
    assert (label == np.array([0, 2, 1, 1])[before]).all()  # the larger one first
    square = pairwise_distances(rows)
    for cause in (1, 2):
        members = np.flatnonzero(label == cause)
        assert joined.medoid[cause - 1] == members[square[np.ix_(members, members)].sum(axis=1).argmin()]
    expected = shared_deviation(rows, found.labels, joined.of_cluster)
    np.testing.assert_array_equal(joined.shared, expected)
    assert joined.p_apart.tolist() == [causes.p_apart[1:].max(), causes.p_apart[0]]
    assert joined.p_inside[0] == np.nanmin([*causes.p_inside[1:], *causes.p_apart[1:]])
    np.testing.assert_array_equal(joined.p_inside[1], causes.p_inside[0])


def test_clusters_that_are_no_cut_can_be_joined():
    rows, _ = groups((40, 40, 40), apart=9)
    found = cluster(rows, preset="moments", clusterer="kmeans")
    distances = pairwise_distances(rows, condensed=True)
    causes = find_causes(found, distances)
    joined = join_causes(causes, np.ones(found.k, np.int64), found, distances)
    assert set(joined.of_cluster) == {1}
    assert np.isnan(joined.p_apart).all()
    assert np.isnan(joined.p_inside).all()
