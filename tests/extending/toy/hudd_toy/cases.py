"""A case: bars at three places, some of the images too dark."""

import numpy as np
from torch import nn

from hudd.data import Transform
from hudd.extend import Case


def model() -> nn.Module:
    """Build the untrained DNN: 8 x 8 grey in, three places out."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 12), nn.ReLU(), nn.Linear(12, 3)
    )


model.transform = Transform(grayscale=True)
model.class_names = ["left", "middle", "right"]


def make(seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Draw the splits; dark and covered images are in test and improvement alone."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name, count in {"train": 120, "test": 150, "improvement": 120}.items():
        labels = rng.integers(3, size=count)
        images = rng.integers(0, 60, (count, 8, 8))
        images[np.arange(count), :, 1 + 2 * labels] += 150
        cause = rng.choice(["none", "dark", "covered"], count, p=[0.4, 0.3, 0.3])
        if name == "train":
            cause[:] = "none"
        images[cause == "dark"] //= 12
        images[cause == "covered", 2:] = 120
        splits[name] = {
            "images": images.astype(np.uint8),
            "labels": labels,
            "class_names": np.array(model.class_names),
            "cause": cause,
        }
    return splits


BARS = Case(
    name="bars",
    title="bars at three places, some of them dark or covered",
    model="hudd_toy.cases:model",
    make=make,
    training={"epochs": 4, "batch_size": 16, "lr": 0.05},
    retraining={"epochs": 1, "batch_size": 16, "lr": 0.05},
)
