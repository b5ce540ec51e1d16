"""The steps one by one, and what they leave."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from hudd import LRP
from hudd.errors import HuddError
from hudd.study import Study


def write_as_bytes(h5, name, more):
    values = h5[name][...].astype(np.uint8) + np.uint8(more)
    del h5[name]
    h5[name] = values


def test_errors_are_the_wrong_predictions(finished):
    test = finished.split("test")
    np.testing.assert_array_equal(finished.errors, np.flatnonzero(test.prediction != test.label))
    assert 10 < len(finished.errors) < 120
    assert finished.class_names == ["ant", "bee", "cat"]
    assert test.score.min() > 1 / 3 - 1e-6


def test_heatmaps_are_the_relevance_of_the_errors(finished):
    rows = finished.errors
    relevance = LRP(finished.model.module).attribute(finished.source("test").load(rows))
    assert finished.layers == list(relevance.layers)
    for layer in finished.layers:
        stored = finished.heatmaps_of(layer)
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored[...], relevance.layers[layer].numpy(), rtol=1e-4, atol=1e-6)


def test_distances_are_of_unit_norm_heatmaps(finished):
    for layer in finished.layers:
        heatmaps = finished.heatmaps_of(layer)[...].reshape(len(finished.errors), -1).astype(np.float64)
        norms = np.linalg.norm(heatmaps, axis=1, keepdims=True)
        expected = pdist(heatmaps / np.where(norms > 0, norms, 1))
        np.testing.assert_allclose(finished.distances_of(layer), expected, rtol=1e-4, atol=1e-5)


def test_clusters_are_those_of_the_chosen_layer(finished):
    clusters = finished.clusters
    found = finished.clustering_of(clusters.layer)
    np.testing.assert_array_equal(clusters.label, found.labels)
    np.testing.assert_array_equal(clusters.label[clusters.medoid], np.arange(1, found.k + 1))
    candidates = [finished.clustering_of(layer) for layer in finished.layers]
    assert found.scaled_wicd == min(c.scaled_wicd for c in candidates if c.k > 1)


def test_selection_takes_the_closest(finished):
    unsafe = finished.selection
    assert len(unsafe) == len(set(unsafe.image.tolist())) > 0
    sizes = np.bincount(finished.clusters.label)
    for cluster, images in unsafe.by_cluster().items():
        assert len(images) <= np.ceil(0.3 * sizes[cluster])


def test_row_numbers_may_be_unsigned_but_not_beyond_the_rows(finished):
    rows = finished.errors
    for beyond in (0, 130):
        with finished.file.writing() as h5:
            write_as_bytes(h5, "selection/image", beyond)
        if not beyond:
            assert finished.selection.image.max() < 80
            np.testing.assert_array_equal(finished.errors, rows)
        else:
            with pytest.raises(HuddError, match="holds others than rows 0 to 79"):
                _ = finished.selection


def test_retraining_keeps_what_it_did(finished):
    (run,) = finished.retraining["hudd"]
    np.testing.assert_array_equal(run["before"], finished.split("test").correct)
    assert run["accuracy_after"] == pytest.approx(run["after"].mean())
    assert (finished.path / "models" / run["weights"]).is_file()
    assert not list((finished.path / "models").glob("*.checkpoint"))


def test_evaluation_knows_parameters_and_causes(finished):
    found = finished.evaluation
    assert found["variance"]["parameter"].tolist() == ["width"]
    assert 0 < found["purity"]["weighted_purity"] <= 1
    assert found["variance"]["shift"].shape == found["variance"]["reduction"].shape
    known = {"width", "turn", *finished.split("test").attributes} - {"tilt", "second", "margin"}
    for of in ("rules", "causes"):
        assert {name for names in found[of]["parameters"] for name in json.loads(names)} <= known
    assert sorted(found["causes"]["cause"]) <= finished.causes.numbers
    assert set(finished.split("test").attributes) >= {"luminance", "second", "margin"}


def test_the_table_names_what_chance_does_not(finished):
    with finished.file.writing() as h5:
        variance, rules = h5["evaluation/variance"], h5["evaluation/rules"]
        clusters = variance["cluster"][...]
        variance["reduction"][...] = 0.9
        variance["p_value"][...] = 0.5
        rules["p_value"][...] = 0.5
        variance["p_value"][0] = rules["p_value"][1] = 0.01
        rules["text"][...] = "width < 3"
        rules["parameters"][...] = '["width"]'
        ruled = rules["cluster"][1]
    table = finished.table("evaluation").set_index("cluster")
    named = {clusters[0], ruled}
    assert (
        set(table.index[table["parameter"].notna()])
        == named
        == set(table.index[table["variance_reduction"].notna()])
    )
    assert table.index[table["rule"].notna()].tolist() == [ruled]


def test_summary_is_json(finished):
    assert json.loads(json.dumps(finished.summary()))["test"]["errors"] == len(finished.errors)


def test_spatial_heatmaps(finished):
    rows = np.array([3, 0, 3])
    first = finished.layers[0]
    expected = finished.heatmaps_of(first)[...].sum(axis=1)[rows]
    np.testing.assert_allclose(finished.spatial_heatmaps(rows, first), expected, rtol=1e-5, atol=1e-7)
    flat = next(layer for layer in finished.layers if finished.heatmaps_of(layer).ndim == 2)
    np.testing.assert_allclose(finished.spatial_heatmaps(rows, flat), expected, rtol=1e-4, atol=1e-6)


def test_it_opens_by_its_directory_or_its_file(finished):
    assert Study.open(finished.path / "study.h5").path == finished.path


def test_arrays_are_read_when_they_are_asked_for(finished):
    stored = finished.heatmaps_of(finished.layers[0])
    whole = stored.numpy()
    assert "not yet read" in repr(stored)
    assert (len(stored), stored.ndim, stored.shape) == (len(whole), whole.ndim, whole.shape)
    np.testing.assert_array_equal(stored[2:5], whole[2:5])
    np.testing.assert_array_equal(np.asarray(stored, np.float64), whole.astype(np.float64))
    assert torch.equal(stored.torch(), torch.from_numpy(whole))
    table = finished.table("errors")
    assert (type(table).__name__, len(table)) == ("DataFrame", len(whole))
