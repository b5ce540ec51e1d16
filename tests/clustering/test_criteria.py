import os
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import davies_bouldin_score, silhouette_score

from hudd.clustering import linkage
from hudd.clustering.criteria import criteria, criteria_curve
from hudd.errors import UsageError

SHARED = Path(os.environ.get("HUDD_SHARED", Path(__file__).parents[3] / "shared"))


def dunn(square, labels):
    """Least distance between clusters over the largest inside one, by the definition."""
    same = labels[:, None] == labels
    return square[~same].min() / square[same].max()


def icd(square, labels):
    means = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        inside = square[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)]
        means.append(inside.mean() if len(inside) else 0.0)
    return np.mean(means)


@pytest.mark.parametrize("seed", range(3))
def test_every_cut_agrees_with_the_definitions(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 4)) + 3 * rng.standard_normal((6, 4))[rng.integers(0, 6, 60)]
    d = pdist(x)
    z, ks = linkage(d), np.arange(2, 30)
    curves = criteria_curve(d, z, ks)
    for at, k in enumerate(ks):
        labels = hierarchy.fcluster(z, k, "maxclust")
        square = squareform(d)
        wanted = (
            icd(square, labels),
            silhouette_score(square, labels, metric="precomputed"),
            dunn(square, labels),
            davies_bouldin_score(x, labels),
        )
        found = curves.icd[at], curves.silhouette[at], curves.dunn[at], curves.davies_bouldin[at]
        np.testing.assert_allclose(found, wanted, rtol=1e-7)
        one = criteria(d, labels.astype(np.int64))
        np.testing.assert_allclose((one.icd, one.silhouette, one.dunn, one.davies_bouldin), wanted, rtol=1e-7)


def test_ties_and_duplicates():
    x = np.random.default_rng(0).integers(0, 3, (30, 2)).astype(float)
    d = pdist(x)
    z, ks = linkage(d), np.arange(2, 31)
    curves = criteria_curve(d, z, ks)
    assert curves.silhouette.shape == (29,)
    assert np.isinf(curves.dunn[-1])  # only duplicates share a cluster
    assert np.isfinite(curves.davies_bouldin).all()


def test_one_cluster():
    found = criteria(pdist(np.random.default_rng(0).random((5, 2))), np.ones(5, np.int64))
    assert (found.silhouette, found.davies_bouldin) == (0, 0)


@pytest.mark.parametrize("labels", [np.ones(4, int), np.array([0, 1, 1]), np.array([1, 3, 3])])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(UsageError, match="labels"):
        criteria(np.ones(3), labels)


@pytest.mark.parametrize("dataset", ["blobs", "small", "noise"])
def test_the_authors_values(dataset):
    path = SHARED / "golden" / "clustering.npz"
    if not path.exists():
        pytest.skip(f"no golden data at {path}")
    with np.load(path) as golden:
        labels = golden[f"{dataset}/full/labels"].astype(np.int64)
        scaled, raw = golden[f"{dataset}/scaled"], golden[f"{dataset}/D"]
        wanted = {
            name: float(golden[f"{dataset}/full/{name}"]) for name in ("silhouette", "DBI", "layer_ICD_raw")
        }
    profiles = criteria(pdist(scaled), labels)
    assert profiles.silhouette == pytest.approx(wanted["silhouette"], rel=1e-9)
    assert profiles.davies_bouldin == pytest.approx(wanted["DBI"], rel=1e-9)
    found = criteria(squareform(raw, checks=False), labels)
    assert found.icd == pytest.approx(wanted["layer_ICD_raw"], rel=1e-9)
