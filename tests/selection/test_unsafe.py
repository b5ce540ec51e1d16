"""The rank-by-rank scheme against a reference written from its description, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import ClosestMembers, UnsafeSet, cluster_sizes, select_unsafe, share_out


def reference(distances, columns, budget, order, cap):
    """Image by image, as the method's text says it."""
    left, taken, chosen = dict(budget), set(), []
    for rank in range(len(columns)):
        wants = {}
        for image in order:
            ranked = sorted(columns, key=lambda c: distances[image, c])
            wants[image] = (distances[image, ranked[rank]], ranked[rank])
        for image in sorted(order, key=lambda i: wants[i][0]):
            distance, column = wants[image]
            if image in taken:
                continue
            if distance >= cap:
                break
            if left[column] > 0:
                left[column] -= 1
                taken.add(image)
                chosen.append((image, column, rank))
    return chosen


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    labels = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    rng.shuffle(labels)
    distances = rng.integers(0, draw(st.sampled_from([3, 1000])), (draw(st.integers(0, 25)), len(labels)))
    return distances.astype(float), labels, draw(st.sampled_from([0.1, 0.3, 1.0, 4.0]))


@given(problems(), st.sampled_from([np.inf, 2.0, 500.0]))
@settings(deadline=None, max_examples=150)
def test_equals_the_description(problem, cap):
    distances, labels, factor = problem
    closest = ClosestMembers.from_matrix(distances, labels)
    order = np.random.default_rng(1).permutation(len(distances))
    unsafe = select_unsafe(closest, labels, preset="hudd-2021", factor=factor, order=order, distance_cap=cap)
    columns = [i for i, n in enumerate(closest.size) if n > 1]
    budget = {i: int(np.ceil(round(factor * closest.size[i], 9))) for i in columns}
    expected = reference(closest.distance, columns, budget, order.tolist(), cap)
    assert unsafe.image.tolist() == [image for image, _, _ in expected]
    assert unsafe.cluster.tolist() == [closest.clusters[column] for _, column, _ in expected]
    assert unsafe.rank.tolist() == [rank for _, _, rank in expected]


@given(problems(), st.integers(0, 5))
@settings(deadline=None)
def test_laws(problem, seed):
    distances, labels, factor = problem
    unsafe = select_unsafe(distances, labels, factor=factor, seed=seed)
    assert len(set(unsafe.image.tolist())) == len(unsafe)
    for cluster, images in unsafe.by_cluster().items():
        size = np.count_nonzero(labels == cluster)
        assert size > 1
        assert len(images) <= np.ceil(round(factor * size, 9))
        own = distances[np.ix_(images, np.flatnonzero(labels == cluster))].min(axis=1)
        np.testing.assert_array_equal(own, unsafe.distance[unsafe.cluster == cluster])
    wanted = sum(
        int(np.ceil(round(factor * n, 9))) for n in np.unique(labels, return_counts=True)[1] if n > 1
    )
    assert len(unsafe) == min(wanted, len(distances))
    again = select_unsafe(distances, labels, factor=factor, seed=seed)
    np.testing.assert_array_equal(unsafe.image, again.image)


def test_budget_in_all_and_by_cluster():
    rng = np.random.default_rng(0)
    labels = np.repeat([4, 2, 9], [6, 3, 1])
    distances = rng.random((50, 10))
    counts = {c: len(i) for c, i in select_unsafe(distances, labels, budget=12).by_cluster().items()}
    assert counts == {4: 8, 2: 4}
    counts = {
        c: len(i) for c, i in select_unsafe(distances, labels, budget={4: 2, 2: 5}).by_cluster().items()
    }
    assert counts == {4: 2, 2: 5}


def test_outside_is_farther_than_the_reach():
    clusters, size = np.array([1, 2]), np.array([3, 3])
    distance = np.array([[0.5, 9.0], [2.0, 9.0], [9.0, 0.0]])
    closest = ClosestMembers(clusters, size, distance, np.zeros((3, 2), int), reach=np.array([1.0, 0.0]))
    unsafe = select_unsafe(closest, np.array([1, 1, 1, 2, 2, 2]), factor=1)
    by_image = np.argsort(unsafe.image)
    assert unsafe.radius_ratio[by_image].tolist() == [0.5, 2.0, 0.0]
    assert unsafe.outside[by_image].tolist() == [False, True, False]


@given(st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=1, max_size=9).filter(any))
def test_share_out_is_exact_and_proportional(total, weights):
    shares = share_out(total, np.array(weights))
    assert shares.sum() == total
    assert (np.abs(shares - total * np.array(weights) / sum(weights)) < 1).all()


def test_noise_labels_are_no_cluster():
    clusters, size = cluster_sizes(np.array([3, -1, 3, 0, 1]))
    assert clusters.tolist() == [3, 1]
    assert size.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factor": 0.0}, "selection factor"),
        ({"budget": {7: 1}}, r"clusters \[7\]"),
        ({"order": np.array([0, 0])}, "permutation"),
        ({"preset": "nope"}, "preset"),
    ],
)
def test_wrong_calls_are_named(change, words):
    with pytest.raises(UsageError, match=words):
        select_unsafe(np.ones((2, 4)), np.array([1, 1, 2, 2]), **change)


def test_wrong_distances_are_named():
    labels = np.array([1, 1, 2, 2])
    with pytest.raises(UsageError, match="image 1 are not numbers"):
        select_unsafe(np.array([[1.0] * 4, [np.nan] * 4]), labels)
    with pytest.raises(UsageError, match="shape"):
        select_unsafe(np.ones((2, 3)), labels)
    with pytest.raises(UsageError, match="one length"):
        UnsafeSet(np.arange(2), *[np.arange(3)] * 5)
