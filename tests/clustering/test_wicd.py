"""WICD, its cuts and the sums under them, against the definitions in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from hudd.clustering import linkage
from hudd.clustering.wicd import cluster_sums, cut_merges, flat_labels, medoids, tree_sums, wicd, wicd_curve

problems = st.tuples(st.integers(2, 14), st.sampled_from([2, 4, 1000]), st.integers(0, 999))


def case(n, values, seed):
    """Distances with few or many ties, and their linkage."""
    condensed = pdist(np.random.default_rng(seed).integers(0, values, (n, 2)).astype(float))
    return condensed, linkage(condensed)


def by_definition(square, labels):
    """``sum_c n_c / N ICD_c / k``."""
    total = 0.0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        pairs = square[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)]
        total += len(rows) / len(labels) * (pairs.mean() if len(pairs) else 0.0)
    return total / len(np.unique(labels))


@given(problems)
def test_every_cut_has_the_wicd_of_its_labels(problem):
    condensed, z = case(*problem)
    n, square = problem[0], squareform(condensed)
    ks = np.arange(2, n + 3)  # more than there are rows, too
    curve, merges = wicd_curve(tree_sums(condensed, z), z, ks), cut_merges(z, ks)
    for k, found, applied in zip(ks, curve, merges):
        labels = flat_labels(z, int(k))
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, hierarchy.fcluster(z, k, "maxclust"))
        expected = by_definition(square, labels)
        assert found == pytest.approx(expected, abs=1e-9)
        sums, totals = cluster_sums(condensed, labels)
        assert wicd(totals, labels) == pytest.approx(expected, abs=1e-9)
        same = labels[:, None] == labels
        np.testing.assert_allclose(sums, (square * same).sum(axis=1))
        np.testing.assert_allclose(
            totals, [square[np.ix_(labels == c, labels == c)].sum() / 2 for c in range(1, labels.max() + 1)]
        )
        if k < n or problem[1] == 1000:  # of as many clusters as rows, those at distance 0 are one to SciPy
            assert applied == n - labels.max()
        for cluster, row in enumerate(medoids(sums, labels), 1):
            members = np.flatnonzero(labels == cluster)
            assert row == members[sums[members].argmin()]


def test_as_many_clusters_as_rows_apply_no_merge():
    z = linkage(pdist(np.array([[0.0], [1], [3], [7]])))
    assert cut_merges(z, np.array([1, 2, 3, 4, 5])).tolist() == [3, 2, 1, 0, 0]
    np.testing.assert_array_equal(wicd_curve(tree_sums(np.ones(6), z), z, np.array([4, 9])), [0, 0])


def test_a_single_row_is_one_cluster():
    assert flat_labels(np.empty((0, 4)), 2).tolist() == [1]


def test_by_hand():
    # Clusters {0, 1} at distance 2, {2, 3, 4} at distances 3, 3, 6, {5}.
    condensed = pdist(np.array([[0.0], [2], [100], [103], [106], [500]]))
    labels = np.array([1, 1, 2, 2, 2, 3])
    sums, totals = cluster_sums(condensed, labels)
    assert sums.tolist() == [2, 2, 9, 6, 9, 0]
    assert totals.tolist() == [2, 12, 0]
    assert medoids(sums, labels).tolist() == [0, 3, 5]  # of equals the first
    assert wicd(totals, labels) == pytest.approx((2 / 6 * 2 + 3 / 6 * 4) / 3)
    z = linkage(condensed)
    assert wicd_curve(tree_sums(condensed, z), z, np.array([3]))[0] == pytest.approx(wicd(totals, labels))
