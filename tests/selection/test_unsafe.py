"""The rank-by-rank scheme against a reference written from its description, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import (
    ClosestMembers,
    UnsafeSet,
    cluster_budgets,
    cluster_sizes,
    select_unsafe,
    share_out,
)


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


def test_the_seed_is_0_and_decides_ties_alone():
    labels, tied, untied = np.repeat([1, 2], 10), np.ones((60, 20)), np.arange(1200.0).reshape(60, 20)
    first = select_unsafe(tied, labels, factor=0.5).image.tolist()
    assert first == select_unsafe(tied, labels, factor=0.5, seed=0).image.tolist()
    assert first != select_unsafe(tied, labels, factor=0.5, seed=1).image.tolist()
    for seed in range(3):
        assert select_unsafe(untied, labels, factor=0.5, seed=seed).image.tolist() == list(range(10))


def test_images_at_the_cap_are_never_chosen_and_those_at_the_reach_are_within():
    clusters, size = np.array([1, 2]), np.array([2, 2])
    distance = np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [9.0, 0.5]])
    closest = ClosestMembers(clusters, size, distance, np.zeros((4, 2), int), reach=np.array([2.0, 0.0]))
    labels = np.array([1, 1, 2, 2])
    capped = select_unsafe(closest, labels, factor=2, distance_cap=2.0)
    assert sorted(zip(capped.image.tolist(), capped.cluster.tolist())) == [(0, 1), (3, 2)]
    everything = select_unsafe(closest, labels, factor=2, distance_cap=np.inf)
    assert dict(zip(everything.image.tolist(), everything.outside.tolist())) == {
        0: False,
        1: False,
        2: True,
        3: True,
    }


@pytest.mark.parametrize(
    ("size", "factor", "wanted"),
    [
        ([30, 1, 2], 0.1, [3, 0, 1]),
        ([10, 3], 0.25, [3, 1]),
        ([5, 2], 2.0, [10, 4]),
        ([7], 1 / 7 + 1e-12, [1]),  # rounding asks for no more
        ([7], 1 / 7 + 1e-6, [2]),
    ],
)
def test_budgets_are_rounded_up_and_clusters_of_one_have_none(size, factor, wanted):
    assert cluster_budgets(np.array(size), factor).tolist() == wanted


@pytest.mark.parametrize("factor", [0, -1, np.inf, np.nan])
def test_a_factor_is_a_positive_number(factor):
    with pytest.raises(UsageError, match="must be a positive number"):
        cluster_budgets(np.array([3]), factor)


@pytest.mark.parametrize(("total", "weights"), [(-1, [1, 2]), (3, [0, 0]), (3, [2, -1])])
def test_what_cannot_be_shared_out(total, weights):
    with pytest.raises(UsageError, match="cannot be shared out"):
        share_out(total, np.array(weights))


def test_the_largest_remainders_get_one_more_the_first_of_equals():
    assert share_out(10, np.array([1, 1, 1])).tolist() == [4, 3, 3]
    assert share_out(10, np.array([5, 3, 1])).tolist() == [6, 3, 1]  # 5.56, 3.33, 1.11
    assert share_out(0, np.array([1.0, 2])).tolist() == [0, 0]


def test_a_budget_in_all_leaves_clusters_of_one_out_and_chooses_nothing_where_there_are_no_others():
    distances, labels = np.random.default_rng(0).random((20, 4)), np.array([1, 2, 2, 3])
    assert select_unsafe(distances, labels, budget=5).cluster.tolist() == [2] * 5
    assert len(select_unsafe(distances, np.arange(1, 5), budget=5)) == 0
    assert len(select_unsafe(distances, labels, budget={1: 4, 3: 4})) == 0


def test_an_unsafe_set_is_a_value():
    unsafe = select_unsafe(np.ones((3, 4)), np.array([1, 1, 2, 2]))
    with pytest.raises(AttributeError, match="cannot assign"):
        unsafe.image = None


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
