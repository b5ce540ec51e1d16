"""Parity with outputs recorded from the authors' code."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from hudd.clustering import cluster
from hudd.clustering.cluster import row_scaled
from hudd.clustering.wicd import flat_labels
from hudd.distances import pairwise_distances

SHARED = Path(os.environ.get("HUDD_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture(scope="module")
def golden():
    path = SHARED / "golden" / "clustering.npz"
    if not path.exists():
        pytest.skip(f"no golden data at {path}")
    with np.load(path) as file:
        return dict(file)


CASES = [("blobs", "full"), ("blobs", "half"), ("small", "full"), ("small", "half"), ("small", "over"),
         ("noise", "full"), ("noise", "half")]  # fmt: skip


@pytest.mark.parametrize("dataset", ["blobs", "small", "noise"])
def test_distances(golden, dataset):
    wanted = golden[f"{dataset}/D"]
    np.testing.assert_allclose(pairwise_distances(golden[f"{dataset}/X"]), wanted, rtol=1e-5, atol=1e-7)
    condensed = squareform(wanted, checks=False)
    np.testing.assert_allclose(row_scaled(condensed), golden[f"{dataset}/scaled"], rtol=1e-9)


@pytest.mark.parametrize(("dataset", "tag"), CASES)
def test_clusters(golden, dataset, tag):
    wanted = {
        key.split("/")[-1]: value for key, value in golden.items() if key.startswith(f"{dataset}/{tag}/")
    }
    condensed = squareform(golden[f"{dataset}/D"], checks=False)
    found = cluster(condensed, preset="hudd-2021", max_clusters=int(wanted["k"][-1]))
    np.testing.assert_allclose(found.linkage, wanted["Z"], rtol=1e-9)
    np.testing.assert_array_equal(found.ks, wanted["k"])
    np.testing.assert_allclose(found.wicd_curve, wanted["wicd_curve"], rtol=1e-9)
    np.testing.assert_allclose(found.gradient, wanted["gradient"], rtol=1e-9, atol=1e-12)
    for k, labels in zip(wanted["k"], wanted["labels_by_k"]):
        np.testing.assert_array_equal(flat_labels(found.linkage, k), labels)
    assert found.k == wanted["labels"].max()
    np.testing.assert_array_equal(found.labels, wanted["labels"])
    np.testing.assert_array_equal(flat_labels(found.linkage, int(wanted["knee_k"])), wanted["labels"])
    assert found.wicd == pytest.approx(float(wanted["layer_WICD_raw"]), rel=1e-9)


@pytest.mark.parametrize("dataset", ["blobs", "small", "noise"])
def test_default_range_from_the_heatmaps(golden, dataset):
    found = cluster(golden[f"{dataset}/X"], preset="hudd-2021")
    np.testing.assert_array_equal(found.ks, golden[f"{dataset}/half/k"])
    np.testing.assert_array_equal(found.labels, golden[f"{dataset}/half/labels"])
