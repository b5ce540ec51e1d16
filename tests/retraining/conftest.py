"""A problem that a small net learns in a second: which quarter of the image is bright."""

import numpy as np
import pytest
import torch
from torch import nn


def quarters(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.integers(0, 90, (count, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels):
        row, column = divmod(int(label), 2)
        image[0, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] += 100
    return torch.from_numpy(images), labels


@pytest.fixture(scope="session")
def data():
    return quarters(240, 0)


@pytest.fixture(scope="session")
def make_data():
    return quarters


@pytest.fixture
def make_model():
    def make(seed=0, dropout=0.3):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Dropout(dropout),
                nn.Linear(64, 4),
            )

    return make
