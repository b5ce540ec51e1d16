"""Distances taken from rows as they are needed, against those of a matrix."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from hudd import cluster
from hudd.clustering import find_causes, pairs, vectors
from hudd.clustering.clusterers import Ward
from hudd.clustering.pairs import Matrix, Rows
from hudd.distances import pairwise_distances
from hudd.errors import UsageError


def groups(n=90, features=12, k=5, seed=0):
    rng = np.random.default_rng(seed)
    centres = 6 * rng.standard_normal((k, features))
    return (centres[rng.integers(0, k, n)] + rng.standard_normal((n, features))).astype(np.float32)


def both(rows, unit_norm=False):
    return Rows(rows, unit_norm), Matrix(pairwise_distances(rows, condensed=True, unit_norm=unit_norm))


@pytest.fixture
def in_tiles(monkeypatch):
    """Take distances in many blocks, and link in rounds."""
    for module, name, value in ((pairs, "_STRIP", 7), (pairs, "_BLOCK", 16), (pairs, "_READ", 400)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(vectors, "_WHOLE", 2)


@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (40, 2), (61, 3, 2, 2)])
@pytest.mark.usefixtures("in_tiles")
def test_rows_tell_what_the_matrix_tells(tmp_path, shape, unit_norm):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal(shape).astype(np.float32)
    rows[::5] = rows[0]
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        stored, (_, matrix) = Rows(file.create_dataset("rows", data=rows), unit_norm), both(rows, unit_norm)
        n = len(rows)
        z = Ward().linkage(matrix.condensed) if n > 1 else np.empty((0, 4))
        close = {"rtol": 2e-5, "atol": 1e-6}
        np.testing.assert_allclose(stored.tree_sums(z), matrix.tree_sums(z), **close)
        assert stored.mean() == pytest.approx(matrix.mean(), rel=2e-5)
        assert Rows(rows, unit_norm).mean() == pytest.approx(matrix.mean(), rel=2e-5)  # without a tree
        labels = rng.integers(0, 3, n)
        labels = np.unique(labels, return_inverse=True)[1] + 1
        for found, wanted in zip(stored.cluster_sums(labels), matrix.cluster_sums(labels)):
            np.testing.assert_allclose(found, wanted, **close)
        items = np.flatnonzero(rng.random(n) < 0.6)
        np.testing.assert_allclose(stored.among(items), matrix.among(items), **close)
        np.testing.assert_allclose(
            stored.subset(items).cluster_sums(np.ones(len(items), int))[0],
            matrix.subset(items).cluster_sums(np.ones(len(items), int))[0], **close,
        ) if len(items) else None  # fmt: skip
        first, second = rng.integers(0, n, 50), rng.integers(0, n, 50)
        np.testing.assert_allclose(stored.apart(first, second), matrix.apart(first, second), **close)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 6), st.integers(0, 999))
def test_the_sums_of_a_tree_are_those_of_its_clusters(n, features, seed):
    rows = np.random.default_rng(seed).standard_normal((n, features))
    z, square = Ward().linkage(pdist(rows).astype(np.float32)), squareform(pdist(rows))
    members = [[i] for i in range(n)]
    for left, right in z[:, :2].astype(int):
        members.append(members[left] + members[right])
    wanted = [square[np.ix_(own, own)].sum() / 2 for own in members[n:]]
    np.testing.assert_allclose(Rows(rows).tree_sums(z), wanted, rtol=1e-5)
    np.testing.assert_allclose(Matrix(pdist(rows)).tree_sums(z), wanted)


@pytest.mark.parametrize("options", [
    {}, {"preset": "moments"}, {"cluster_size": 20}, {"max_clusters": 4}, {"unit_norm": False},
    {"reduction": "pca"}, {"clusterer": "kmeans"}, {"clusterer": "dbscan"}, {"clusterer": "hdbscan"},
])  # fmt: skip
@pytest.mark.usefixtures("in_tiles")
def test_clusters_from_rows_are_those_of_the_matrix(options):
    rows = groups()
    wanted = cluster(rows, **options)
    found = cluster(rows, linkage_from="rows", **options)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.medoids, wanted.medoids)
    np.testing.assert_array_equal(found.ks, wanted.ks)
    np.testing.assert_allclose(found.wicd_curve, wanted.wicd_curve, rtol=1e-4)
    np.testing.assert_allclose(found.linkage, wanted.linkage, rtol=1e-5)
    assert found.scaled_wicd == pytest.approx(wanted.scaled_wicd, rel=1e-4)


@pytest.mark.parametrize("rows", [np.ones((1, 4)), np.ones((9, 4)), np.zeros((9, 4)), np.eye(2)])
def test_rows_without_structure_are_one_cluster_either_way(rows):
    wanted, found = cluster(rows), cluster(rows, linkage_from="rows")
    assert (found.k, found.scaled_wicd) == (wanted.k, wanted.scaled_wicd)
    np.testing.assert_array_equal(found.ks, wanted.ks)


def test_causes_are_the_same_either_way():
    rows = groups(120, k=4)
    found = cluster(rows, unit_norm=False, cluster_size=10)
    rows_pairs, matrix = both(rows)
    one, other = find_causes(found, rows_pairs, rows), find_causes(found, matrix.condensed, rows)
    np.testing.assert_array_equal(one.of_cluster, other.of_cluster)
    np.testing.assert_array_equal(one.medoid, other.medoid)
    np.testing.assert_allclose(one.p_apart, other.p_apart, rtol=1e-3)
    assert len(one.medoid) == 4


@pytest.mark.parametrize("options", [
    {"clusterer": "average"}, {"preset": "hudd-2021"}, {"preset": "hudd-2021", "reduction": "pca"},
    {"clusterer": "average", "reduction": "pca"},
])  # fmt: skip
def test_methods_that_need_all_distances_are_refused(options):
    with pytest.raises(
        UsageError, match=r"linkage_from is 'rows', but (clusterer|preset) .* needs the distance"
    ):
        cluster(groups(), linkage_from="rows", **options)


def test_what_is_neither_matrix_nor_rows_is_refused():
    with pytest.raises(UsageError, match="linkage_from is 'tiles'; choose one of: matrix, rows"):
        cluster(groups(), linkage_from="tiles")
    with pytest.raises(UsageError, match="distances were given"):
        cluster(pdist(groups()), linkage_from="rows")


@pytest.mark.usefixtures("in_tiles")
def test_threads_change_no_bit(monkeypatch):
    rows, found, threads = groups(150, 40), [], torch.get_num_threads()
    try:
        for count in (1, 2):
            monkeypatch.setenv("OMP_NUM_THREADS", str(count))
            torch.set_num_threads(count)
            found.append(cluster(rows, linkage_from="rows"))
    finally:
        torch.set_num_threads(threads)
    for name, value in vars(found[0]).items():
        np.testing.assert_array_equal(value, getattr(found[1], name))
