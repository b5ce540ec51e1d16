"""The modules of benchmarks/heatmaps."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
MODULES = (
    "harness",
    "flipping",
    "families",
    "judging",
    "covered",
    "localisation",
    "randomisation",
    "stability",
    "explanations",
    "cells",
    "tables",
)


@pytest.fixture(scope="module")
def heatmaps():
    """The scripts' modules by name, as they are when the folder is run."""
    folders = [str(FOLDER / "heatmaps"), str(FOLDER), str(FOLDER / "causes")]
    sys.path[:0] = folders
    try:
        found = {name: __import__(name) for name in MODULES}
        spec = {"__name__": "heatmaps", "__file__": str(FOLDER / "heatmaps" / "__main__.py")}
        exec(compile((FOLDER / "heatmaps" / "__main__.py").read_text(), spec["__file__"], "exec"), spec)
        yield found | {"main": spec}
    finally:
        sys.path[:] = [folder for folder in sys.path if folder not in folders]
        for name in (*MODULES, "corruptions"):
            sys.modules.pop(name, None)


@pytest.fixture
def small(heatmaps):
    """A network of random weights on 80 images, of which it gets every second one wrong; and the images."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).eval()
    images = torch.rand(80, 3, 8, 8)
    with torch.inference_mode():
        labels = model(images).argmax(1).numpy()
    labels[::2] = (labels[::2] + 1) % 3
    network = heatmaps["families"].Network(
        model, lambda rows: images[torch.from_numpy(rows)], labels,
        box=(0, 1), space="3", patches=(2, 4), images=(8, 8), batch=5,
    )  # fmt: skip
    return network, images
