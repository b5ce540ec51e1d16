"""Localisation and stability as Quantus has them, where it is installed: it needs OpenCV, so no extra has it."""

import warnings

import numpy as np
import pytest
import torch

PLAIN = {"normalise": False, "abs": False, "return_aggregate": False, "disable_warnings": True}


@pytest.fixture(scope="module")
def metrics():
    """The metrics of Quantus."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("quantus", reason="Quantus is not installed").metrics


@pytest.fixture
def maps():
    """Some maps, (N, H, W)."""
    return torch.randn(20, 6, 6, generator=torch.Generator().manual_seed(0))


def test_localisation(heatmaps, metrics, maps):
    masks = torch.zeros(20, 6, 6, dtype=torch.bool)
    masks[:, 1:4, 2:5] = True
    found = heatmaps["localisation"].located(maps, masks)
    for figure, name, values in (
        ("inside", "RelevanceMassAccuracy", maps.clamp(min=0)),
        ("pointing", "PointingGame", maps),
        ("auc", "AUC", maps),
    ):
        metric = getattr(metrics.localisation, name)(**PLAIN)
        theirs = metric.evaluate_batch(a_batch=values.double().numpy(), s_batch=masks.numpy())
        np.testing.assert_allclose(found[figure], np.array(theirs, float), err_msg=name)


@pytest.mark.filterwarnings("ignore:The settings for perturbing input")
def test_stability(heatmaps, metrics, maps):
    others = maps + 0.1 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))
    metric = metrics.robustness.AvgSensitivity(nr_samples=1, perturb_func=lambda arr, **_: arr, **PLAIN)
    metric.changed_prediction_indices = lambda *_: []
    metric.explain_batch = lambda *_: others.numpy()
    theirs = metric.evaluate_batch(None, np.zeros((20, 1, 6, 6)), np.zeros(20), maps.numpy())
    np.testing.assert_allclose(heatmaps["stability"].change(maps, others), theirs, rtol=1e-5)
