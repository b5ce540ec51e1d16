import sys

import numpy as np
import pytest
from sklearn import cluster as sklearn_cluster
from sklearn.metrics import adjusted_rand_score

from hudd.clustering import cluster
from hudd.clustering.knee import choose_radius
from hudd.clustering.pipelines import Pipeline
from hudd.distances import pairwise_distances
from hudd.errors import UsageError


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 160)
    return (rng.standard_normal((4, 30))[truth] + 0.1 * rng.standard_normal((160, 30))), truth


@pytest.mark.parametrize("clusterer", ["ward", "average", "kmeans", "dbscan", "hdbscan"])
@pytest.mark.parametrize("reduction", ["none", "pca", "random-projection"])
def test_every_combination_finds_separate_groups(blobs, reduction, clusterer):
    x, truth = blobs
    found = Pipeline(reduction=reduction, components=8, clusterer=clusterer).fit(x)
    assert found.features.shape == (160, 30 if reduction == "none" else 8)
    assert found.features.dtype == np.float32
    clustered = found.labels > 0
    assert clustered.mean() > 0.8  # a radius at the knee leaves the rim of a group out
    assert adjusted_rand_score(truth[clustered], found.labels[clustered]) > 0.85
    assert set(found.labels) - {-1} == set(range(1, found.k + 1))
    assert list(found.labels[found.medoids]) == list(range(1, found.k + 1))
    np.testing.assert_array_equal(Pipeline(reduction, 8, clusterer).fit(x).labels, found.labels)


def test_ward_without_reduction_is_the_default_method(blobs):
    x, _ = blobs
    found, wanted = Pipeline().fit(x), cluster(x)
    assert adjusted_rand_score(found.labels, wanted.labels) == 1


def test_number_of_clusters_can_be_given(blobs):
    for clusterer in ("ward", "average", "kmeans"):
        assert Pipeline(clusterer=clusterer, n_clusters=7).fit(blobs[0]).k == 7


def test_any_scikit_learn_clusterer(blobs):
    x, truth = blobs
    mine = sklearn_cluster.AgglomerativeClustering(4, linkage="complete")
    found = Pipeline(clusterer=mine).fit(x)
    assert adjusted_rand_score(found.labels, truth) == 1
    assert not hasattr(mine, "labels_")


def test_noise_keeps_its_mark():
    x = np.r_[np.zeros((20, 2)), np.ones((20, 2)), [[50.0, 50.0]]] + 0.01 * np.random.default_rng(0).random(
        (41, 2)
    )
    found = Pipeline(clusterer="dbscan", unit_norm=False).fit(x)
    assert found.labels[-1] == -1
    assert found.k == 2


@pytest.mark.parametrize("clusterer", ["ward", "average", "kmeans", "dbscan", "hdbscan"])
@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("equal", [False, True])
def test_few_or_equal_rows(clusterer, n, equal):
    x = np.random.default_rng(n).random((n, 4)) if not equal else np.ones((n, 4))
    found = Pipeline(clusterer=clusterer, reduction="pca").fit(x)
    assert found.labels.shape == (n,)
    assert len(found.medoids) == found.k


def test_radius_of_density():
    assert choose_radius(np.r_[np.full(50, 1.0), np.linspace(1.1, 9, 8)]) < 2
    assert choose_radius(np.zeros(5)) > 0
    assert choose_radius(np.r_[np.zeros(50), 3.0]) == 3.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_umap(blobs, peer):
    peer("umap")
    x, truth = blobs
    found = Pipeline(reduction="umap", components=3, clusterer="hdbscan").fit(x)
    assert found.features.shape == (160, 3)
    clustered = found.labels > 0
    assert adjusted_rand_score(truth[clustered], found.labels[clustered]) > 0.9
    np.testing.assert_array_equal(Pipeline("umap", 3, "hdbscan").fit(x).labels, found.labels)


@pytest.mark.slow
def test_hdbscan_groups_as_the_package_of_that_name(blobs, peer):
    """Which counts a row as no neighbour of itself, so that `min_samples` is one less there."""
    x, _ = blobs
    found = Pipeline(clusterer="hdbscan", unit_norm=False).fit(x).labels
    theirs = peer("hdbscan").HDBSCAN(min_cluster_size=5, min_samples=4).fit_predict(x)
    assert adjusted_rand_score(theirs, found) == 1


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match="umap-learn"):
        Pipeline(reduction="umap")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "tsne"}, "'tsne'"),
        ({"clusterer": "birch"}, "'birch'"),
        ({"components": 0}, "components is 0"),
        ({"min_samples": 0}, "min_samples is 0"),
        ({"n_clusters": 0}, "n_clusters is 0"),
    ],
)
def test_wrong_options_say_what_to_do(options, message):
    with pytest.raises(UsageError, match=message):
        Pipeline(**options)


def test_wrong_features_are_named():
    with pytest.raises(UsageError, match="shape"):
        Pipeline().fit(np.ones(4))
    with pytest.raises(UsageError, match="row 1"):
        Pipeline().fit(np.array([[1.0, 2], [np.nan, 1]]))


def test_medoids_are_rows_of_least_sum(blobs):
    found = Pipeline(n_clusters=4).fit(blobs[0])
    d = pairwise_distances(found.features)
    for label, medoid in enumerate(found.medoids, 1):
        rows = np.flatnonzero(found.labels == label)
        assert d[medoid, rows].sum() == pytest.approx(d[np.ix_(rows, rows)].sum(axis=1).min())
