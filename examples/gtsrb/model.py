"""A plain CNN for the German Traffic Sign Recognition Benchmark: 45x45 RGB, 43 classes."""

from torch import nn

from hudd.data import Transform


def cnn45() -> nn.Module:
    """Build the network; its weights come from a file."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 43),
    )


cnn45.transform = Transform(resize=(45, 45), scale=1.0, grayscale=False)  # 0..255, as it was trained
cnn45.strip_prefix = "linear_relu_stack."
