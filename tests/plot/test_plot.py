from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from hudd import plot
from hudd.clustering.causes import LEVEL
from hudd.clustering.pairs import Matrix
from hudd.errors import UsageError
from hudd.plot.pictures import distances_to_medoids, nearest_first
from hudd.summary import Causes


def clustering(count=30, k=4):
    points = np.random.default_rng(0).normal(size=(count, 5))
    tree = linkage(points, "ward")
    ks = np.arange(2, count // 2)
    return points, SimpleNamespace(
        labels=fcluster(tree, k, "maxclust"), k=k, ks=ks, wicd_curve=1 / ks, gradient=-1 / ks**2, linkage=tree
    )


def test_wicd_marks_the_chosen_k():
    _, found = clustering()
    upper, lower = plot.wicd(found).axes
    np.testing.assert_array_equal(upper.lines[1].get_ydata(), found.wicd_curve)
    np.testing.assert_array_equal(lower.lines[1].get_ydata(), found.gradient)
    assert upper.lines[2].get_xdata()[0] == found.k
    assert upper.lines[2].get_ydata()[0] == found.wicd_curve[found.k - 2]


def test_wicd_of_many_k_is_drawn_on_a_log_scale():
    _, found = clustering()
    assert plot.wicd(found).axes[1].get_xscale() == "linear"
    _, found = clustering(count=200)
    figure = plot.wicd(found)
    figure.canvas.draw()
    assert figure.axes[1].get_xscale() == "log"
    assert "log scale" in figure.axes[1].get_xlabel()


def test_splits_are_drawn_at_their_p():
    apart, inside = np.array([1e-30, 0.2, np.nan]), np.array([np.nan, 0.02, 0.5])
    numbers = np.arange(1, 4)
    causes = Causes(numbers, numbers, numbers - 1, np.ones(3, bool), np.ones(3), apart, inside)
    figure = plot.splits(causes)
    figure.canvas.draw()
    level, *dots = figure.axes[0].lines
    assert level.get_xdata()[0] == LEVEL
    for line, values in zip(dots, ([1e-6, 0.2, np.nan], inside)):
        np.testing.assert_array_equal(line.get_xdata(), values)
        np.testing.assert_array_equal(line.get_ydata(), numbers)


def test_dendrogram_has_one_leaf_a_cluster():
    _, found = clustering()
    labels = [t.get_text() for t in plot.dendrogram(found).axes[0].get_xticklabels()]
    assert sorted(labels) == [str(i) for i in range(1, found.k + 1)]


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 30), st.integers(0, 2**31))
def test_scaling_of_points_on_a_plane_keeps_their_distances(count, seed):
    points = np.random.default_rng(seed).normal(size=(count, 2)) * [5, 2]
    distances = pdist(points)
    np.testing.assert_allclose(pdist(plot.embed(distances)), distances, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("count", [4, 6, 150])
def test_equal_points_lie_in_one_place(count):
    np.testing.assert_array_equal(plot.embed(np.zeros(count * (count - 1) // 2)), np.zeros((count, 2)))
    two = np.arange(count) % 2 * 3.0
    np.testing.assert_allclose(
        pdist(plot.embed(pdist(two[:, None]))), pdist(two[:, None]), rtol=1e-6, atol=1e-6
    )


def test_embedding_is_the_same_twice_and_refuses_what_it_does_not_know():
    points, found = clustering()
    for method in ("mds", "tsne"):
        one, two = (plot.embed(pdist(points), method=method, seed=3) for _ in range(2))
        assert one.shape == (30, 2)
        np.testing.assert_array_equal(one, two)
    with pytest.raises(UsageError, match="mds, tsne, umap"):
        plot.embed(pdist(points), method="pca")
    with pytest.raises(UsageError, match=r"\(30, 2\)"):
        plot.embedding(points, found.labels)
    figure = plot.embedding(points[:, :2], found.labels, [0, 7])
    assert [t.get_text() for t in figure.axes[0].texts] == [str(found.labels[0]), str(found.labels[7])]
    assert plot.embed(pdist(points[:2])).shape == (2, 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.data())
def test_nearest_first_reads_the_condensed_matrix(count, data):
    points = np.random.default_rng(count).normal(size=(count, 3))
    condensed, square = pdist(points), squareform(pdist(points))
    members = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1))))
    medoid = int(data.draw(st.sampled_from(members.tolist())))
    order = nearest_first(Matrix(condensed), members, medoid)
    assert order[0] == medoid
    assert (np.diff(square[medoid, order]) >= 0).all()
    clusters = SimpleNamespace(label=np.ones(count, int), medoid=np.array([medoid]))
    np.testing.assert_array_equal(distances_to_medoids(Matrix(condensed), clusters), square[medoid])


def test_heatmap_is_stretched_over_the_picture():
    picture = np.zeros((20, 30, 3), np.uint8)
    relevance = np.array([[1.0, -1.0]])
    ground, overlay = plot.heatmap(picture, relevance).axes[0].images
    assert ground.get_extent() == overlay.get_extent()
    colours = overlay.get_array()
    assert colours[0, 0, 0] > colours[0, 0, 2]
    assert colours[0, 1, 2] > colours[0, 1, 0]


def test_retraining_and_parameters():
    figure = plot.retraining(0.7, {"hudd": [0.8, 0.9], "bl1": [0.7]})
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["hudd", "bl1"]
    values = {"a $x^2$ <b>": np.array([1.0, np.nan, 3.0]), "b": np.arange(3.0)}
    figure = plot.parameters(values, np.array([True, True, False]))
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(values)
    figure.canvas.draw()


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.5, 1.7e9, 1.7e18, -1e300])
@pytest.mark.parametrize("apart", [0.0, 1e-15, 1e-11, 1e-3])
def test_parameters_that_hardly_differ_are_drawn(value, apart):
    column = np.array([value, value, value * (1 + apart), np.nan])
    figure = plot.parameters({"time": column}, np.array([True, False, False, True]))
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    assert low < value < high
    assert figure.axes[0].xaxis.offsetText.get_window_extent().y0 >= 0  # what the ticks leave out is seen


def test_a_parameter_that_is_known_of_nobody_is_drawn():
    plot.parameters({"time": np.full(3, np.nan)}, np.array([True, False, False])).canvas.draw()


def test_scale_is_five_times_the_mean_and_never_zero():
    relevance = np.zeros((20, 20), np.float32)
    assert plot.relevance_scale(relevance) == 1
    relevance[0, 0] = -8
    assert plot.relevance_scale(relevance) == 5 * 8 / 400
    relevance[:] = 3e38  # their sum is beyond float32
    relevance[0] = np.nan
    assert plot.relevance_scale(relevance) == pytest.approx(1.5e39)


@given(st.integers(0, 2**31), st.sampled_from([1e-20, 1, 1e20]))
def test_colours_do_not_depend_on_the_size_of_the_output(seed, size):
    relevance = np.random.default_rng(seed).standard_normal((9, 7))
    colours = plot.relevance_indices(relevance).astype(int)
    assert np.abs(plot.relevance_indices(size * relevance).astype(int) - colours).max() <= 1
    assert ((colours > 128) <= (relevance > 0)).all()
    assert ((colours < 128) <= (relevance < 0)).all()


def test_cluster_shows_the_medoid_first():
    points, found = clustering()
    medoid = [int(np.flatnonzero(found.labels == c)[0]) for c in range(1, 5)]
    source = SimpleNamespace(picture=lambda i: np.full((8, 8, 3), i, np.uint8))
    study = SimpleNamespace(
        clusters=SimpleNamespace(label=found.labels, medoid=np.array(medoid)),
        chosen_layer="a",
        distances_of=lambda layer: pdist(points),
        has=lambda name: True,
        spatial_heatmaps=lambda rows, layer: np.ones((len(rows), 4, 4), np.float32),
        source=lambda name: source,
        errors=np.arange(30) + 100,
    )
    figure = plot.cluster(study, 2, images=3)
    assert figure.axes[0].images[0].get_array()[0, 0, 0] == medoid[1] + 100
    with pytest.raises(UsageError, match="from 1 to 4"):
        plot.cluster(study, 9)
