import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import AgglomerativeClustering, Birch
from sklearn.metrics import adjusted_rand_score

from hudd.clustering import Pipeline, choose_layer, cluster, linkage
from hudd.clustering.knee import choose_k, gradient
from hudd.clustering.wicd import cut_merges, flat_labels, tree_sums, wicd_curve
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.errors import UsageError


def groups(seed=0, n=90, count=5, features=20, noise=0.15):
    """Draw groups far apart, and each row's group."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, count, n)
    return rng.standard_normal((count, features))[truth] + noise * rng.standard_normal((n, features)), truth


def naive_wicd(square, labels):
    """WICD by the definition: method.md C.5."""
    total = 0.0
    for label in range(1, labels.max() + 1):
        rows = np.flatnonzero(labels == label)
        pairs = [square[i, j] for i in rows for j in rows if i < j]
        total += np.mean(pairs) * len(rows) / len(labels) if pairs else 0.0
    return total / labels.max()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.booleans())
def test_wicd_of_every_cut_agrees_with_the_definition(seed, n, ties):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n, 2)) if ties else rng.random((n, 2))
    d = pdist(x)
    z, ks = linkage(d), np.arange(2, n + 4)
    labels = [hierarchy.fcluster(z, k, "maxclust") for k in ks]
    np.testing.assert_array_equal(n - cut_merges(z, ks), [found.max() for found in labels])
    wanted = [naive_wicd(squareform(d), found) for found in labels]
    np.testing.assert_allclose(wicd_curve(tree_sums(d, z), z, ks), wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(flat_labels(z, 3), hierarchy.fcluster(z, 3, "maxclust"))


def test_gradient_is_exact_for_quartics_inside():
    k = np.arange(2.0, 20.0)
    np.testing.assert_allclose(4 * gradient(k**4)[2:-2], 4 * k[2:-2] ** 3, rtol=1e-12)
    np.testing.assert_allclose(4 * gradient(3 * k), 3, rtol=1e-12)
    for size in range(4):
        np.testing.assert_allclose(4 * gradient(k[:size]), np.ones(size) if size > 1 else np.zeros(size))


def test_number_of_clusters_without_a_knee():
    ks = np.arange(2, 10)
    straight = np.linspace(1, 0, 8)
    assert choose_k(ks[:1], straight[:1], np.zeros(1)) == 2
    assert choose_k(ks, np.ones(8), np.zeros(8)) == 2
    bent = np.maximum(1 - 0.3 * (ks - 2), 0.1)
    assert choose_k(ks, bent, np.zeros(8)) == 5


@pytest.mark.parametrize(
    "rows",
    [
        np.where(np.arange(90) < 30, -2.0, 3.0)[:, None],  # one number per image, of two signs
        np.linspace(0.1, 5, 90)[:, None] * np.where(np.arange(90) % 3, 1, -1)[:, None],
        np.eye(3)[np.arange(90) % 3] * np.arange(1, 91)[:, None],  # three directions
        np.zeros((90, 4)),  # constant
        np.ones((90, 1)),
    ],
)
def test_a_degenerate_layer_never_wins(rows):
    layers = {"few points": cluster(rows), "many": cluster(groups(noise=0.6)[0])}
    assert choose_layer(layers) == "many"
    assert choose_layer({"few points": layers["few points"]}) == "few points"


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
def test_finds_separate_groups(preset):
    x, truth = groups()
    found = cluster(x, preset=preset)
    assert found.k in (5, 6)  # the gradient's knee comes at the last drop of the curve or just after
    assert len(set(zip(found.labels, truth))) == found.k  # no cluster mixes groups
    assert found.labels.dtype == np.int64
    assert set(found.labels) == set(range(1, found.k + 1))
    assert len(found.ks) == len(found.wicd_curve) == len(found.gradient) == 44
    assert found.linkage.shape == (89, 4)
    assert 0 < found.scaled_wicd < 0.3
    if preset == "hudd":
        x = unit_norm_rows(x)
    d = squareform(pdist(x))
    assert found.wicd == pytest.approx(naive_wicd(d, found.labels), rel=1e-5)
    for label, medoid in enumerate(found.medoids, 1):
        rows = np.flatnonzero(found.labels == label)
        assert medoid == rows[np.argmin(d[np.ix_(rows, rows)].sum(axis=1))]


def test_heatmaps_and_their_distances_give_the_same():
    x, _ = groups(seed=1)
    a, b = cluster(x), cluster(pairwise_distances(x, condensed=True, unit_norm=True))
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.wicd == b.wicd


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
def test_scale_of_the_layer_changes_nothing_but_raw_wicd(preset):
    x, _ = groups(seed=2)
    a, b = cluster(x, preset=preset), cluster(1000 * x, preset=preset)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.scaled_wicd == pytest.approx(b.scaled_wicd, rel=1e-5)


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
@pytest.mark.parametrize("n", range(1, 9))
def test_few_rows(preset, n):
    found = cluster(np.random.default_rng(n).standard_normal((n, 4)), preset=preset)
    assert found.labels.shape == (n,)
    assert found.linkage.shape == (n - 1, 4)
    assert len(found.medoids) == found.k == found.labels.max()
    one = n == 1 or (preset == "hudd" and n < 4)
    assert (found.k == 1) == one
    if one:
        assert found.wicd >= 0
        assert found.scaled_wicd == pytest.approx(1)


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021"])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_heatmaps_are_one_cluster(preset, value):
    found = cluster(np.full((30, 8), value), preset=preset)
    assert found.k == 1
    assert (found.labels == 1).all()
    assert (found.wicd, found.scaled_wicd) == (0.0, 1.0)
    assert list(found.medoids) == [0]


def test_dead_heatmaps_stay_together():
    x, _ = groups(seed=3, n=60)
    x[10:20] = 0
    found = cluster(x)
    assert len(set(found.labels[10:20])) == 1


def test_max_clusters():
    x, _ = groups(seed=4)
    assert list(cluster(x, max_clusters=7).ks) == list(range(2, 8))
    assert cluster(x[:5], max_clusters=50).ks[-1] == 4
    assert cluster(x[:5], max_clusters=50, preset="hudd-2021").ks[-1] == 50
    with pytest.raises(UsageError, match="max_clusters is 1"):
        cluster(x, max_clusters=1)


def test_wrong_calls_say_what_to_do():
    with pytest.raises(UsageError, match="no heatmaps"):
        cluster(np.empty((0, 5)))
    with pytest.raises(UsageError, match="row 2"):
        cluster(np.array([[1.0, 2], [3, 4], [np.nan, 1]]))
    with pytest.raises(UsageError, match="preset"):
        cluster(np.ones((3, 3)), preset="best")


def test_layers_are_compared_free_of_scale():
    loose, tight = groups(noise=0.6)[0], groups(noise=0.1)[0]
    layers = {
        "first": cluster(loose * 1e-3),
        "tight": cluster(tight * 1e3),
        "dead": cluster(np.zeros((90, 4))),
    }
    assert choose_layer(layers) == "tight"
    layers = {name: cluster(x, preset="hudd-2021") for name, x in
              {"image": tight * 1e-6, "loose": loose * 1e-3, "tight": tight * 1e3}.items()}  # fmt: skip
    assert choose_layer(layers, preset="hudd-2021") == "loose"
    assert choose_layer({"only": layers["tight"]}, preset="hudd-2021") == "only"
    assert choose_layer({"dead": cluster(np.zeros((9, 4)))}) == "dead"
    with pytest.raises(UsageError, match="no layer"):
        choose_layer({})


def test_the_safe_preset_clusters_by_density():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(20 * i, 1, (30, 60)) for i in range(3)] + [np.full((1, 60), 500.0)])
    found = cluster(rows, preset="safe")
    wanted = Pipeline("pca", clusterer="dbscan", unit_norm=False).fit(rows)
    kept = wanted.labels > 0
    np.testing.assert_array_equal(found.labels[kept], wanted.labels[kept])
    np.testing.assert_array_equal(found.medoids[: wanted.k], wanted.medoids)
    assert (np.bincount(found.labels)[found.labels[~kept]] == 1).all()  # what is noise stands alone
    assert found.labels[-1] == found.k
    assert found.linkage.shape == (0, 4)
    assert len(found.ks) == 0
    assert 0 < found.scaled_wicd < 0.5


def test_reduction_and_clusterer_replace_the_presets():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5, 40))[rng.integers(0, 5, 120)] + 0.1 * rng.standard_normal((120, 40))
    reduced = cluster(rows, reduction="pca")
    assert adjusted_rand_score(reduced.labels, cluster(rows).labels) == 1
    assert reduced.linkage.shape == (119, 4)
    average = cluster(rows, clusterer="average")
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(
        average.linkage[:, 2], hierarchy.linkage(pdist(units), "average")[:, 2], rtol=1e-5
    )
    own = cluster(rows, clusterer=AgglomerativeClustering(5))
    assert own.k == 5


@pytest.mark.parametrize("options", [{"preset": "safe"}, {"reduction": "pca"}, {"clusterer": "kmeans"}])
def test_distances_can_only_be_linked(options):
    with pytest.raises(UsageError, match="give the features"):
        cluster(np.ones(10, np.float32), **options)


def test_kmeans_is_told_the_number_as_a_dendrogram_is():
    rows = np.random.default_rng(0).standard_normal((300, 6))
    assert cluster(rows, preset="moments", clusterer="kmeans").k == cluster(rows, preset="moments").k == 20
    assert cluster(rows, clusterer="kmeans", cluster_size=7).k == 43
    assert cluster(rows, clusterer="kmeans", cluster_size=7, max_clusters=9).k == 9
    assert cluster(rows, clusterer="kmeans", max_clusters=3).k <= 3
    assert cluster(rows, preset="hudd-2021", clusterer="kmeans", cluster_size=100).k == 3
    assert cluster(np.ones((40, 6)), preset="moments", clusterer="kmeans").k == 1


@pytest.mark.parametrize("clusterer", ["dbscan", "hdbscan", Birch()])
@pytest.mark.parametrize("number", [{"max_clusters": 5}, {"cluster_size": 5}])
def test_a_number_that_would_have_no_effect_is_refused(clusterer, number):
    rows = np.random.default_rng(0).standard_normal((40, 6))
    with pytest.raises(UsageError, match=r"finds the number of clusters itself, so .* 5 has no effect"):
        cluster(rows, clusterer=clusterer, **number)
    assert cluster(rows, preset="moments", clusterer=clusterer).k >= 1  # the preset's own size is passed over


def test_unit_norm_replaces_the_presets():
    x, _ = groups()
    x = x * np.random.default_rng(0).uniform(0.1, 10, (len(x), 1))
    units = cluster(x, preset="moments", reduction="pca", unit_norm=True)
    wanted = cluster(unit_norm_rows(x), preset="moments", reduction="pca")
    np.testing.assert_array_equal(units.labels, wanted.labels)
    linked = cluster(x, preset="moments", unit_norm=True)
    np.testing.assert_array_equal(linked.labels, cluster(unit_norm_rows(x), preset="moments").labels)
