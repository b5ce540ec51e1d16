"""A DNN with random weights on small random images: many errors, done in a second."""

import shutil

import numpy as np
import pytest
import torch

from hudd.study import Study

MODEL = """
from torch import nn
from hudd.data import Transform


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)
    )


def unsupported():
    class Cumulative(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 3)

        def forward(self, x):
            return self.last(x.flatten(1).cumsum(1))

    return Cumulative()


def landmarks():
    return nn.Conv2d(1, 27, 3)


cnn.transform = unsupported.transform = landmarks.transform = Transform(grayscale=True)
"""


def write_split(path, count, seed, labelled=True):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    images = rng.integers(0, 120, size=(count, 8, 8), dtype=np.uint8)
    images[np.arange(count), labels * 2] += 100
    np.savez(
        path,
        images=images,
        labels=labels if labelled else np.full(count, -1),
        class_names=np.array(["ant", "bee", "cat"]),
        cause=np.array(["dark", "blur"])[labels % 2],
        width=labels * 2.0 + rng.random(count),
    )


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Options of Study.create, and the files that they name."""
    root = tmp_path_factory.mktemp("material")
    (root / "model.py").write_text(MODEL)
    for seed, (split, count) in enumerate({"train": 90, "test": 120, "improvement": 80}.items()):
        write_split(root / f"{split}.npz", count, seed)
    from hudd.capture.loading import load_model
    from hudd.retraining import save_weights

    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = load_model(f"{root / 'model.py'}:cnn").module
    save_weights(module, root / "cnn.safetensors")
    return {
        "model": f"{root / 'model.py'}:cnn",
        "weights": str(root / "cnn.safetensors"),
        **{split: str(root / f"{split}.npz") for split in ("train", "test", "improvement")},
        "training": {"epochs": 2, "batch_size": 32, "lr": 0.01},
        "preset": "hudd",  # heatmaps of every layer, so that there are several of everything
    }


@pytest.fixture(scope="session")
def _finished(tmp_path_factory, material):
    return Study.create(tmp_path_factory.mktemp("studies") / "finished", **material).run().path


@pytest.fixture
def finished(_finished, tmp_path):
    """A finished study, the test's own copy."""
    return Study.open(shutil.copytree(_finished, tmp_path / "finished"))
