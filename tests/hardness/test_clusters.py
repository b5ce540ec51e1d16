"""Distances and clusters of hard rows: tiny, huge, equal, few, and such that no number of clusters stands out."""

import numpy as np
import pytest

import hudd

SCALES = (1e-40, 1e-30, 1e-6, 1.0, 1e6, 1e30)


def groups(count=30, features=40, seed=0):
    """Three groups of rows."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((3, features))
    return (centres[np.arange(count) % 3] + 0.05 * rng.standard_normal((count, features))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_distances_grow_with_the_rows(scale):
    rows = groups()
    scaled = (rows.astype(np.float64) * scale).astype(np.float32)
    exact = np.sqrt(((scaled[:, None].astype(np.float64) - scaled[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(hudd.pairwise_distances(scaled), exact, rtol=1e-5, atol=1.5e-45)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES[1:])
@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
def test_clusters_do_not_depend_on_the_size_of_relevance(scale, preset):
    rows = groups()
    expected = hudd.cluster(rows, preset=preset)
    found = hudd.cluster((rows.astype(np.float64) * scale).astype(np.float32), preset=preset)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_denormal_rows_are_clustered_as_far_as_their_digits_go():
    found = hudd.cluster((groups().astype(np.float64) * 1e-42).astype(np.float32))
    assert len(found.labels) == 30
    assert np.isfinite(found.wicd_curve).all()


def test_a_distance_beyond_float32_is_refused():
    rows = np.array([[3e38] * 9, [-3e38] * 9], np.float32)
    with pytest.raises(hudd.HuddError, match="float32"):
        hudd.pairwise_distances(rows)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-45, 3e38])
@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
def test_equal_rows_are_one_cluster(value, count, preset):
    found = hudd.cluster(np.full((count, 5), value, np.float32), preset=preset)
    assert found.k == 1
    assert found.labels.tolist() == [1] * count
    assert found.medoids.tolist() == [0]
    assert (found.wicd, found.scaled_wicd) == (0.0, 1.0)  # nothing gained by clustering


@pytest.mark.parametrize("count", [2, 3])
def test_two_or_three_rows_are_one_cluster(count):
    found = hudd.cluster(groups(count))
    assert found.k == 1


def test_no_rows_are_refused():
    with pytest.raises(hudd.UsageError, match="no heatmaps to cluster"):
        hudd.cluster(np.empty((0, 5), np.float32))


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
def test_where_no_number_of_clusters_stands_out_one_is_chosen_all_the_same(preset):
    found = hudd.cluster(np.eye(12, dtype=np.float32), preset=preset)  # every two rows equally far apart
    assert 1 <= found.k <= 12
    assert sorted(set(found.labels.tolist())) == list(range(1, found.k + 1))
    assert np.isfinite(found.wicd_curve).all()
    again = hudd.cluster(np.eye(12, dtype=np.float32), preset=preset)
    np.testing.assert_array_equal(found.labels, again.labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_named(bad):
    rows = groups()
    rows[7, 3] = bad
    for call in (hudd.pairwise_distances, hudd.cluster):
        with pytest.raises(hudd.UsageError, match=r"row 7\b"):
            call(rows)


def test_layers_of_equal_heatmaps_can_be_chosen_among():
    flat, real = hudd.cluster(np.ones((30, 4), np.float32)), hudd.cluster(groups())
    assert hudd.choose_layer({"flat": flat, "real": real}) == "real"
