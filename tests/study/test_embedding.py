"""Strategies that go by the last layer select in a study, by features that depend on no batch."""

import numpy as np
import pytest

from hudd.retraining import predict
from hudd.selection import select_badge, select_core_set, select_margin
from hudd.study.steps import embedding

pytestmark = pytest.mark.slow

STRATEGIES = ("margin", "class-balanced-entropy", "entropy-kmeans", "badge", "core-set", "typiclust")


def test_features_and_probabilities_are_those_of_the_last_layer(finished, monkeypatch):
    monkeypatch.setattr(embedding, "_ROWS_PER_SHARD", 30)
    finished.configure(batch_size=7)
    found = embedding.embedding(finished.inputs, finished.journal)
    module, source = finished.model.module, finished.source("improvement")
    said = predict(module, source)
    entering = predict(module[:-1], source)
    np.testing.assert_allclose(found.features, entering.output, atol=1e-6)
    np.testing.assert_allclose(found.margin, said.margin, atol=1e-6)
    expected = said.probability
    expected[np.arange(len(expected)), said.prediction] -= 1
    np.testing.assert_allclose(found.residual, expected, atol=1e-6)
    monkeypatch.setattr(embedding, "_rows", None)  # now they are read
    again = embedding.embedding(finished.inputs, finished.journal)
    np.testing.assert_array_equal(again.features, found.features)


def test_wide_rows_are_projected_and_keep_their_distances():
    rows = np.random.default_rng(0).normal(size=(20, 4000)).astype(np.float32)
    kept = embedding._projected(rows, seed=0)
    assert kept.shape == (20, 512)
    assert embedding._projected(kept, seed=0) is kept
    pairs = [np.linalg.norm(a[:10] - a[10:], axis=1) for a in (rows, kept)]
    np.testing.assert_allclose(pairs[1] / pairs[0], 1, atol=0.15)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_study_selects_by_them(finished, name):
    finished.configure(strategy=name, budget=20).select()
    chosen = finished.selection.image
    assert len(set(chosen.tolist())) == 20
    found = embedding.embedding(finished.inputs, finished.journal)
    own = {
        "margin": lambda: select_margin(found.margin, 20, seed=0),
        "badge": lambda: select_badge(found.features, found.residual, 20, seed=0),
        "core-set": lambda: select_core_set(found.features, 20, seed=0),
    }
    if name in own:
        assert chosen.tolist() == own[name]().tolist()
