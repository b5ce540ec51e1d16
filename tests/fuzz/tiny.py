"""A DNN with random weights on small random images: many errors, and all steps taken in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hudd.capture.loading import load_model
from hudd.retraining import save_weights

MODEL = """
from torch import nn
from hudd.data import Transform


def cnn():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))


cnn.transform = Transform(grayscale=True)
"""


def write_split(path: Path, count: int, seed: int) -> None:
    """Write an archive of bright columns on noise: labels, a cause and a parameter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    images = rng.integers(0, 120, size=(count, 8, 8), dtype=np.uint8)
    images[np.arange(count), labels * 2] += 100
    np.savez(
        path,
        images=images,
        labels=labels,
        class_names=np.array(["ant", "bee", "cat"]),
        cause=np.array(["dark", "blur"])[labels % 2],
        width=labels * 2.0 + rng.random(count),
    )


def material(folder: Path) -> dict[str, Any]:
    """Write model, weights and data into `folder`; return the options of Study.create that name them."""
    (folder / "model.py").write_text(MODEL)
    for seed, (split, count) in enumerate({"train": 30, "test": 40, "improvement": 30}.items()):
        write_split(folder / f"{split}.npz", count, seed)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = load_model(f"{folder / 'model.py'}:cnn").module
    save_weights(module, folder / "cnn.safetensors")
    return {
        "model": f"{folder / 'model.py'}:cnn",
        "weights": str(folder / "cnn.safetensors"),
        **{split: str(folder / f"{split}.npz") for split in ("train", "test", "improvement")},
        "training": {"epochs": 1, "batch_size": 16, "lr": 0.01},
        "preset": "hudd",
    }
