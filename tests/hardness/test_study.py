"""Whole studies of hard data: a defined result, or one sentence."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from hudd.errors import HuddError, UsageError
from hudd.report import write_report
from hudd.study import Study
from hudd.summary import describe

pytestmark = pytest.mark.slow

MODEL = """
import torch
from torch import nn
from hudd.data import Transform


def net(outputs, scale=1.0):
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, outputs))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(scale)
    return made


def one(): return net(1)
def two(): return net(2)
def thousand(): return net(1000)
def loud(): return net(3, 1e4)
"""
tiny = runpy.run_path(str(Path(__file__).parents[1] / "fuzz" / "tiny.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("hard")
    (root / "hard.py").write_text(MODEL)
    return root, tiny["material"](root)


def studied(folder, tmp_path, images, labels, known=None, **choices):
    """A finished study, its report written."""
    root, sound = folder
    for split in ("test", "improvement"):
        np.savez(tmp_path / f"{split}.npz", images=images, labels=labels, **(known or {}))
    splits = {split: str(tmp_path / f"{split}.npz") for split in ("test", "improvement")}
    model = f"{root / 'hard.py'}:{choices.pop('net')}" if "net" in choices else None
    given = {
        **sound,
        "train": None,
        "allow_overlap": True,
        **splits,
        **({"model": model, "weights": None} if model else {}),
        **choices,
    }
    study = Study.create(tmp_path / "study", **given).run()
    write_report(study)
    return study


presets = pytest.mark.parametrize("preset", ["hudd", "moments"])


@presets
@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images_are_one_cluster(folder, tmp_path, value, preset):
    images, labels = np.full((12, 8, 8), value, np.uint8), np.arange(12) % 3
    study = studied(folder, tmp_path, images, labels, preset=preset)
    assert len(study.errors) == 8  # all are taken for one class
    for layer in study.layers:
        assert not study.distances_of(layer).any()
    assert study.clusters.label.tolist() == [1] * 8
    assert np.isfinite(study.selection.distance).all()
    assert study.summary()["clusters"][0]["size"] == 8


def test_one_output_is_no_classifier(folder, tmp_path):
    images, labels = np.zeros((4, 8, 8), np.uint8), np.zeros(4, int)
    with pytest.raises(
        UsageError, match=r"returns \(1, 1\) for one image; a classifier returns.*task='binary'"
    ):
        studied(folder, tmp_path, images, labels, net="one", task="classification")


@presets
@pytest.mark.parametrize("label", [0, 1])
def test_a_test_set_of_one_class(folder, tmp_path, label, preset):
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    labels = np.full(40, label)
    labels[0] = 1 - label  # so that there is an error, whatever the net says
    study = studied(folder, tmp_path, images, labels, net="two", preset=preset)
    assert study.clusters.label.shape == study.errors.shape
    assert study.clusters.label.min() == 1


@presets
def test_a_thousand_classes(folder, tmp_path, preset):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    study = studied(
        folder,
        tmp_path,
        images,
        rng.integers(0, 1000, 60),
        net="thousand",
        preset=preset,
        task="classification",
    )
    assert len(study.errors) > 50
    assert study.clusters.label.max() > 1
    assert study.has("evaluation")


@presets
def test_identical_errors_and_one_that_differs(folder, tmp_path, preset):
    images = np.repeat(np.random.default_rng(2).integers(0, 255, (1, 8, 8), dtype=np.uint8), 20, axis=0)
    images[-1] = 255 - images[-1]
    study = studied(folder, tmp_path, images, np.arange(20) % 3, preset=preset)
    assert len(np.unique(study.clusters.label[:-1])) == 1


@presets
def test_a_single_error_with_known_causes(folder, tmp_path, preset):
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    (tmp_path / "first").mkdir()
    answers = (
        studied(folder, tmp_path / "first", images, np.arange(40) % 2, net="two").split("test").prediction
    )
    labels = np.where(np.arange(40) == 7, 1 - answers, answers)
    known = {"cause": np.repeat(["none", "dark"], 20), "light": np.arange(40.0)}
    study = studied(folder, tmp_path, images, labels, known, net="two", preset=preset)
    assert study.errors.tolist() == [7]
    assert not study.table("evaluation").size
    assert "purity" not in describe(study, "evaluate")


@presets
def test_parameters_that_are_times_constants_or_names(folder, tmp_path, preset):
    rng = np.random.default_rng(0)
    known = {
        "time": np.full(60, 1_700_000_000_000_000_000),
        "exposure": 1e-6 * rng.random(60),
        "name": np.array([f"frame{i}.png" for i in range(60)]),
        "nothing": np.full(60, np.nan),
    }
    images = rng.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    study = studied(folder, tmp_path, images, rng.integers(0, 3, 60), known, preset=preset)
    variance = study.evaluation["variance"]
    named = dict(zip(variance["parameter"], variance["reduction"].T))
    assert not named["time"].any()
    assert not named["nothing"].any()
    assert named["exposure"].any()


@pytest.mark.parametrize(
    ("causes", "purity"),
    [
        (np.array(["dark", "", "blur", ""]), "purity of the 20 errors of known cause"),
        (np.array([1, np.nan, 0, np.nan]), "purity of the 20 errors of known cause"),
        (np.array(["", "", "", ""]), ""),
        (np.full(4, np.nan), ""),
    ],
)
def test_causes_that_are_known_of_some(folder, tmp_path, causes, purity):
    images = np.random.default_rng(0).integers(0, 255, (80, 8, 8), dtype=np.uint8)
    (tmp_path / "first").mkdir()
    first = studied(folder, tmp_path / "first", images, np.arange(80) % 2, net="two")
    labels = np.where(np.arange(80) < 40, 1 - first.split("test").prediction, first.split("test").prediction)
    study = studied(folder, tmp_path, images, labels, {"cause": np.resize(causes, 80)}, net="two")
    assert len(study.errors) == 40
    assert describe(study, "evaluate").startswith(purity)
    assert "cause" not in study.table("evaluation").get("parameter", [])
    found = study.table("clusters")
    assert found["cause"].isin(["dark", "blur", "0.0", "1.0", ""]).all()
    assert (found["purity"].notna() == (found["cause"] != "")).all()


def test_relevance_beyond_half_precision_is_refused(folder, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8), dtype=np.uint8)
    with pytest.raises(HuddError, match=r"exceeds float16 .* `dtype=.float32.`"):
        studied(folder, tmp_path, images, np.arange(20) % 3, net="loud", dtype="float16")
