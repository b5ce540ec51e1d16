"""The small digits that scikit-learn carries: the whole method in seconds."""

from __future__ import annotations

import numpy as np
from torch import nn

from hudd.data.cases.case import Arrays, Case
from hudd.data.cases.faults import corrupted_splits
from hudd.data.transforms import Transform


def model() -> nn.Module:
    """Build the untrained CNN: 16x16 grey in, ten digits out."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


model.transform = Transform(grayscale=True)  # type: ignore[attr-defined]
model.class_names = [str(digit) for digit in range(10)]  # type: ignore[attr-defined]


def make(seed: int) -> dict[str, Arrays]:
    """Share the 1,797 digits out: 600 clean for training, 600 for the test, 597 for improvement."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    bilinear = Image.Resampling.BILINEAR
    images = np.stack([np.asarray(Image.fromarray(image).resize((16, 16), bilinear)) for image in small])
    return corrupted_splits(images, bunch.target, sizes=(600, 600), per_cause=60, seed=seed)


CASE = Case(
    name="digits",
    title="1,797 small handwritten digits (scikit-learn), six injected causes of failure; for quick trials",
    model="hudd.data.cases.digits:model",
    make=make,
    training={"epochs": 30, "batch_size": 32, "lr": 0.05},
    retraining={"epochs": 30, "batch_size": 32, "lr": 0.05},
)
