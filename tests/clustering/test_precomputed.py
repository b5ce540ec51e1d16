"""Distances given as such, and distances given where rows are expected."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

import hudd
from hudd.clustering import Pipeline, linkage_vectors
from hudd.errors import UsageError

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((4, 6))[RNG.integers(0, 4, 40)] + 0.1 * RNG.standard_normal((40, 6))
CONDENSED = pdist(ROWS)
SQUARE = squareform(CONDENSED)


def noisy(distances, size):
    """Rounding on both triangles and on the diagonal."""
    noise = size * np.random.default_rng(1).random(distances.shape) * distances.max()
    return distances + noise


def gram(rows):
    """Distances as many take them: by a float32 product, the diagonal not quite zero, no symmetry to the bit."""
    rows = rows.astype(np.float32)
    squares = (rows**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))


def cosine(rows):
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units @ units.T


DISTANCES = {
    "float64": SQUARE,
    "float32": SQUARE.astype(np.float32),
    "float16": SQUARE.astype(np.float16),
    "whole numbers": np.round(100 * SQUARE).astype(np.int64),
    "noise of 1e-7": noisy(SQUARE, 1e-7),
    "noise of 1e-4": noisy(SQUARE, 1e-4),
    "by a product": gram(ROWS),
    "by a product, far from the origin": gram(ROWS + 3),
    "tiny": 1e-30 * SQUARE,
    "huge": 1e30 * SQUARE,
    "squared": SQUARE**2,
    "one minus cosine": 1 - cosine(ROWS),
    "two rows": squareform(CONDENSED)[:2, :2],
    "a list": SQUARE.tolist(),
    "a tensor": torch.from_numpy(SQUARE),
    "Fortran order": np.asfortranarray(SQUARE),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_square_matrix_is_refused_as_rows_and_taken_as_distances(name):
    distances = DISTANCES[name]
    with pytest.raises(UsageError, match=r"matrix of distances.*metric='precomputed'"):
        hudd.cluster(distances)
    for given_as in (Pipeline().fit, Pipeline().reduce, hudd.RootCauses().fit, linkage_vectors):
        with pytest.raises(UsageError, match="matrix of distances"):
            given_as(distances)
    found = hudd.cluster(distances, metric="precomputed")
    square = np.asarray(distances, np.float64)
    wanted = hudd.cluster(squareform((square + square.T) / 2, checks=False))
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.linkage, wanted.linkage, rtol=1e-3)


def test_square_and_condensed_distances_are_the_same_to_the_bit():
    for distances in (CONDENSED, SQUARE, SQUARE.astype(np.float32)):
        square = hudd.cluster(distances, metric="precomputed")
        flat = hudd.cluster(squareform(distances) if distances.ndim == 2 else distances, metric="precomputed")
        np.testing.assert_array_equal(square.labels, flat.labels)
        np.testing.assert_array_equal(square.linkage, flat.linkage)


def test_distances_of_rows_cluster_as_the_rows_do():
    taken = hudd.pairwise_distances(ROWS)
    for options in ({"preset": "moments"}, {"preset": "hudd", "unit_norm": False, "clusterer": "average"}):
        rows, distances = (
            hudd.cluster(ROWS, **options),
            hudd.cluster(taken, metric="precomputed", **options),
        )
        np.testing.assert_array_equal(rows.labels, distances.labels)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25))
def test_the_order_of_the_rows_makes_no_difference(seed, n):
    rng = np.random.default_rng(seed)
    distances = noisy(squareform(pdist(rng.standard_normal((n, 3)))), 1e-5)
    order = rng.permutation(n)
    a = hudd.cluster(distances, metric="precomputed").labels[order]
    b = hudd.cluster(distances[np.ix_(order, order)], metric="precomputed").labels
    assert len(set(zip(a.tolist(), b.tolist()))) == len(set(a.tolist())) == len(set(b.tolist()))


def test_distances_in_a_file(tmp_path):
    with h5py.File(tmp_path / "d.h5", "w") as h5:
        h5["d"] = SQUARE
        with pytest.raises(UsageError, match="precomputed"):
            hudd.cluster(h5["d"])
        found = hudd.cluster(h5["d"], metric="precomputed")
    np.testing.assert_array_equal(found.labels, hudd.cluster(SQUARE, metric="precomputed").labels)


@pytest.mark.parametrize(
    "similarities",
    [
        cosine(ROWS),
        np.exp(-(SQUARE**2)),
        np.corrcoef(ROWS),
        noisy(cosine(ROWS), 1e-7),
        5 * cosine(ROWS),
        cosine(ROWS).astype(np.float32),
    ],
)
def test_similarities_are_refused_either_way(similarities):
    with pytest.raises(UsageError, match=r"matrix of similarities.*1 - similarities"):
        hudd.cluster(similarities)
    with pytest.raises(UsageError, match=r"to itself is|must be finite and not negative"):
        hudd.cluster(similarities, metric="precomputed")


SYMMETRIC = np.add.outer(np.arange(8.0), np.arange(8.0))
FEATURES = {
    "not symmetric": RNG.standard_normal((40, 40)),
    "hollow, not symmetric": RNG.random((20, 20)) * (1 - np.eye(20)),
    "symmetric, not hollow": SYMMETRIC + np.diag(np.arange(8.0)),
    "one-hot rows": np.eye(9),
    "equal rows": np.ones((5, 5)),
    "zeros": np.zeros((5, 5)),
    "one row": np.zeros((1, 1)),
    "square images": RNG.random((6, 6, 6)),
    "square but for one row": SQUARE[:-1],
    "symmetric but for one pair": SQUARE + np.eye(40, k=7) * (np.arange(40) == 13),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_that_happen_to_be_square_are_features(name):
    rows = FEATURES[name]
    found = hudd.cluster(rows, clusterer="average")
    assert found.labels.shape == (len(rows),)
    np.testing.assert_array_equal(
        found.labels, hudd.cluster(rows, clusterer="average", metric="euclidean").labels
    )


def test_features_that_look_like_distances_can_be_said_to_be_features():
    found = hudd.cluster(SQUARE, metric="euclidean")
    np.testing.assert_array_equal(found.labels, hudd.cluster(np.c_[SQUARE, np.zeros(40)]).labels)


def changed(*places, value):
    distances = SQUARE.copy()
    for place in places:
        distances[place] = value
    return distances


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (changed((3, 7), value=np.nan), "rows 3 and 7 is nan"),
        (changed((3, 7), (7, 3), value=np.inf), "rows 3 and 7 is inf"),
        (changed((3, 7), (7, 3), value=-1.0), "rows 3 and 7 is -1.0"),
        (changed((3, 3), value=np.nan), "rows 3 and 3 is nan"),
        (changed((3, 3), value=9.0), "row 3 to itself is 9"),
        (changed((3, 7), value=90.0), r"90 from row 3 to 7|from row 7 to 3, 90 back"),
        (np.triu(SQUARE), "not symmetric"),
        (CONDENSED[None], r"shape \(1, 780\)"),
        (CONDENSED[:, None], r"shape \(780, 1\)"),
        (CONDENSED[:-1], "fits no N"),
        (ROWS, r"shape \(40, 6\)"),
        (SQUARE[None], r"shape \(1, 40, 40\)"),
        (np.empty((0, 0)), r"shape \(0, 0\)"),
        (SQUARE.astype(complex), "complex"),
        (SQUARE.astype(str), "dtype <U"),
        (np.where(CONDENSED > 2, np.nan, CONDENSED), "must be finite"),
    ],
)
def test_what_is_no_distance_matrix_is_named(distances, message):
    with pytest.raises(UsageError, match=message):
        hudd.cluster(distances, metric="precomputed")


@pytest.mark.parametrize("options", [{"preset": "safe"}, {"reduction": "pca"}, {"clusterer": "kmeans"}])
def test_distances_are_only_linked(options):
    with pytest.raises(UsageError, match="give the features"):
        hudd.cluster(SQUARE, metric="precomputed", **options)


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="'cosine'"):
        hudd.cluster(ROWS, metric="cosine")
    with pytest.raises(UsageError, match="'cosine'"):
        hudd.RootCauses(metric="cosine").fit(ROWS)


def test_pipeline_and_cluster_are_one_path():
    for clusterer in ("ward", "average", "kmeans", "dbscan", "hdbscan"):
        for reduction in ("none", "pca", "random-projection"):
            whole = hudd.cluster(ROWS, clusterer=clusterer, reduction=reduction)
            parts = Pipeline(reduction, clusterer=clusterer).fit(ROWS)
            kept = parts.labels > 0
            np.testing.assert_array_equal(parts.labels[kept], whole.labels[kept])
            np.testing.assert_array_equal(parts.medoids, whole.medoids[: parts.k])
