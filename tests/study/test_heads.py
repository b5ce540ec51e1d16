"""A DNN that ends in a head: scores, heatmaps and retraining are those of its logits."""

import json
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from hudd.study import Study

pytestmark = pytest.mark.slow

ENDED = """

def ended(last):
    net = cnn()
    net.append(last)
    return net


def softmax():
    return ended(nn.Softmax(1))


def log_softmax():
    return ended(nn.LogSoftmax(1))


def sigmoid():
    return ended(nn.Sigmoid())


softmax.transform = log_softmax.transform = sigmoid.transform = Transform(grayscale=True)
"""


@pytest.fixture(scope="module")
def made(material, tmp_path_factory):
    """A study of each, by the name of its last layer."""
    root = tmp_path_factory.mktemp("heads")
    model = material["model"].rpartition(":")[0]
    (root / "ended.py").write_text(Path(model).read_text() + ENDED)
    choices = {**material, "training": {"epochs": 1, "batch_size": 32, "lr": 0.01}}
    studies = {"": Study.create(root / "logits", **choices)}
    for name in ("softmax", "log_softmax", "sigmoid"):
        studies[name] = Study.create(root / name, **{**choices, "model": f"{root / 'ended.py'}:{name}"})
    for study in studies.values():
        study.retrain()
    return studies


@pytest.mark.parametrize(
    ("name", "outputs"), [("softmax", "probabilities"), ("log_softmax", "log-probabilities")]
)
def test_everything_is_as_without_the_head(made, name, outputs):
    logits, study = made[""], made[name]
    for split in ("test", "improvement"):
        np.testing.assert_allclose(study.split(split).score, logits.split(split).score, rtol=1e-5)
        np.testing.assert_allclose(study.split(split).entropy, logits.split(split).entropy, rtol=1e-4)
    np.testing.assert_array_equal(study.clusters.label, logits.clusters.label)
    np.testing.assert_array_equal(study.selection.image, logits.selection.image)
    mode = next(iter(study.retraining))
    with study.file.reading() as ours, logits.file.reading() as theirs:
        losses = [file[f"retraining/{mode}/0/history/loss"][...] for file in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert study.provenance["outputs"] == outputs
    assert study.provenance["explained"] == f"the pre-activation before {name}"
    assert logits.provenance["explained"] == "the output of the predicted class"


def test_classes_of_their_own(made):
    study = made["sigmoid"]
    assert study.provenance["outputs"] == "independent probabilities"
    np.testing.assert_array_equal(study.clusters.label, made[""].clusters.label)
    assert json.dumps(study.provenance, default=str)
    assert isinstance(study.model.module[-1], nn.Sigmoid)


def test_a_study_is_told_in_a_line(made):
    study = made["softmax"]
    assert repr(study) == f"<Study '{study.path}': {study.settings.model}, preset hudd>"
