"""Streamed closest-member distances equal those from all pairs at once."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from hudd.errors import UsageError
from hudd.selection import closest_members, select_unsafe


def reference(images, members, labels, clusters):
    pairs = np.sqrt(((images[:, None].astype(np.float64) - members[None].astype(np.float64)) ** 2).sum(-1))
    distance = np.stack([pairs[:, labels == c].min(1) for c in clusters], 1)
    return pairs, distance


@pytest.mark.slow
@given(st.integers(0, 99), st.integers(100, 700), st.integers(5, 40))
@settings(deadline=None, max_examples=20)
def test_equals_all_pairs(seed, memory, block):
    rng = np.random.default_rng(seed)
    images, members = rng.normal(size=(37, 6)).astype("f4"), rng.normal(size=(23, 6)).astype("f4")
    labels = rng.integers(0, 5, 23)
    blocks = (images[i : i + block] for i in range(0, 37, block))
    closest = closest_members(blocks, members, labels, memory=memory)
    pairs, distance = reference(images, members, labels, closest.clusters)
    np.testing.assert_allclose(closest.distance, distance, rtol=1e-5, atol=1e-6)
    rows = np.arange(37)[:, None]
    np.testing.assert_allclose(pairs[rows, closest.member], distance, rtol=1e-5, atol=1e-6)
    assert (labels[closest.member] == closest.clusters).all()


def test_reach_is_the_loneliest_members_distance():
    members = np.array([[0.0], [1.0], [4.0], [100.0], [102.0], [500.0]])
    closest = closest_members(np.zeros((1, 1)), members, np.array([2, 2, 2, 1, 1, 3]))
    np.testing.assert_allclose(closest.reach, [3.0, 2.0, 0.0], rtol=1e-5)


@pytest.mark.parametrize("memory", [1 << 20, 150])
def test_links(memory):
    rng = np.random.default_rng(1)
    images, members, labels = rng.normal(size=(30, 5)), rng.normal(size=(17, 5)), rng.integers(1, 4, 17)
    for link in ("medoid", "mean"):
        closest = closest_members(images, members, labels, link=link, memory=memory)
        for column, cluster in enumerate(closest.clusters):
            inside = np.flatnonzero(labels == cluster)
            own, _ = reference(members[inside], members[inside], np.ones(len(inside)), [1])
            to_images, _ = reference(images, members[inside], np.ones(len(inside)), [1])
            if link == "mean":
                distance, reach = to_images.mean(1), own[np.triu_indices(len(inside), 1)].mean()
            else:
                medoid = own.sum(1).argmin()
                distance, reach = to_images[:, medoid], own[medoid].max()
                assert (closest.member[:, column] == inside[medoid]).all()
            np.testing.assert_allclose(closest.distance[:, column], distance, rtol=1e-5)
            np.testing.assert_allclose(closest.reach[column], reach, rtol=1e-5)


def test_within_the_mean_reach_a_cluster_does_not_grow_looser():
    rng = np.random.default_rng(2)
    images, members, labels = rng.normal(size=(40, 3)), rng.normal(size=(12, 3)), np.repeat([1, 2], 6)
    closest = closest_members(images, members, labels, link="mean")
    unsafe = select_unsafe(closest, labels, factor=2)
    within = ~unsafe.outside
    assert 0 < within.sum() < len(unsafe)
    for image, cluster in zip(unsafe.image[within], unsafe.cluster[within]):
        inside = members[labels == cluster]
        before, after = pdist(inside).mean(), pdist(np.vstack([inside, images[image]])).mean()
        assert after <= before * (1 + 1e-6)


def test_unit_norm_and_hdf5(tmp_path):
    rng = np.random.default_rng(3)
    images, members = rng.random((9, 2, 3)).astype("f4"), rng.random((8, 2, 3)).astype("f4")
    members[5] = 0
    labels = np.array([1, 1, 2, 2, 1, 2, 3, 1])
    with h5py.File(tmp_path / "h.h5", "w") as file:
        a, b = file.create_dataset("a", data=images), file.create_dataset("b", data=members)
        for memory in (1 << 20, 50):
            closest = closest_members(a, b, labels, unit_norm=True, memory=memory)
            unit = [x.reshape(len(x), -1) for x in (images, members)]
            unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in unit]
            _, distance = reference(*unit, labels, closest.clusters)
            np.testing.assert_allclose(closest.distance, distance, rtol=1e-5, atol=1e-6)


def test_no_images_give_no_rows():
    closest = closest_members(np.empty((0, 4), "f4"), np.eye(4), np.array([1, 1, 2, 2]))
    assert closest.distance.shape == (0, 2)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.ones((2, 3)), np.array([1, 1, 2, 2]), "same layer"),
        (np.ones((2, 4)), np.array([1, 1]), "4 member heatmaps but 2"),
        (np.ones((2, 4)), np.array([-1, -1, -1, -1]), "no error image"),
        (np.ones((2, 4)), np.array([1.0, 1, 2, 2]), "vector of integers"),
        (7, np.array([1, 1, 2, 2]), "blocks of arrays"),
    ],
)
def test_wrong_calls_are_named(images, labels, words):
    with pytest.raises(UsageError, match=words):
        closest_members(images, np.eye(4), labels)


def test_unknown_link_is_named():
    with pytest.raises(UsageError, match="closest, medoid, mean"):
        closest_members(np.eye(4), np.eye(4), np.array([1, 1, 2, 2]), link="farthest")
