"""A driver's eye, drawn with known parameters: gaze direction, and open or closed.

The training sets leave named parameter ranges nearly empty. An image whose parameters fall into one of them carries its
name in the column ``cause``: the true root cause if the network fails on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from hudd.data.cases.case import Arrays, Case
from hudd.data.cases.eye_renderer import render
from hudd.data.transforms import Transform

Range = tuple[float, float]

# Eight sectors of 45 degrees of the gaze angle, as the person who looks at the picture sees them.
GAZE_CLASSES = ["right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right"]
OPEN_CLASSES = ["closed", "open"]
_OPEN_FROM = 0.24  # eyelid opening

# What is drawn for every image, uniformly.
USUAL: dict[str, Range] = {
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

# Cause -> the ranges that it puts in place of the usual ones. A range of magnitudes may take either sign.
_GAZE_CAUSES: dict[str, dict[str, Range]] = {
    "head-yaw": {"head_yaw": (46, 60)},
    "head-pitch": {"head_pitch": (34, 46)},
    "lids": {"eyelid_opening": (0.18, 0.34)},
    "dark": {"light": (0.006, 0.025), "ambient": (0.005, 0.012)},
    "iris": {"iris_size": (0.14, 0.2)},
}
_OPEN_CAUSES: dict[str, dict[str, Range]] = {
    "head-yaw": {"head_yaw": (48, 60)},
    "head-pitch": {"head_pitch": (24, 36)},
    "dark": {"light": (0.004, 0.015), "ambient": (0.003, 0.008)},
    "skin": {"skin": (0.8, 1.0)},
    "blur": {"blur": (4.5, 6.0)},
}
_EITHER_SIGN = ("head_yaw", "head_pitch")


def gaze_model() -> nn.Module:
    """Build the untrained CNN for the gaze direction: 64x64 RGB in, eight sectors out."""
    return network(len(GAZE_CLASSES))


def open_model() -> nn.Module:
    """Build the untrained CNN for open or closed: 64x64 RGB in, two classes out."""
    return network(len(OPEN_CLASSES))


for _model, _names in ((gaze_model, GAZE_CLASSES), (open_model, OPEN_CLASSES)):
    _model.transform = Transform(mean=0.5, std=0.25)  # type: ignore[attr-defined]
    _model.class_names = _names  # type: ignore[attr-defined]


def network(outputs: int) -> nn.Sequential:
    """Build an untrained CNN: 64x64 RGB in, so many numbers out."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 8 * 8, 64),
        nn.ReLU(),
        nn.Linear(64, outputs),
    )


def draw_parameters(
    causes: Mapping[str, Mapping[str, Range]],
    usual: Mapping[str, Range],
    counts: Mapping[str, int],
    rng: np.random.Generator,
) -> Arrays:
    """Draw the parameters of a set of eyes.

    Parameters
    ----------
    causes : mapping
        Cause to the ranges that it puts in place of the usual ones.
    usual : mapping
        Parameter to its usual range.
    counts : mapping
        Images by cause; "none" for those with usual parameters.
    rng : numpy.random.Generator
        Source of all that is drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        (N,) columns in random order: every parameter, ``gaze_yaw``, ``gaze_pitch`` and ``gaze_angle`` in degrees
        (the angle counter-clockwise from the right), and ``cause``.
    """
    cause = rng.permutation(np.repeat(list(counts), list(counts.values())))
    columns: Arrays = {name: rng.uniform(*bounds, len(cause)) for name, bounds in usual.items()}
    for name, ranges in causes.items():
        rows = np.flatnonzero(cause == name)
        for parameter, bounds in ranges.items():
            sign = rng.choice((-1, 1), len(rows)) if parameter in _EITHER_SIGN else 1
            columns[parameter][rows] = sign * rng.uniform(*bounds, len(rows))
    angle = rng.uniform(0, 360, len(cause))
    away = rng.uniform(12, 30, len(cause))
    columns["gaze_yaw"] = away * np.cos(np.radians(angle))
    columns["gaze_pitch"] = away * np.sin(np.radians(angle))
    return {**columns, "gaze_angle": angle, "cause": cause}


def _gaze(seed: int) -> dict[str, Arrays]:
    sets = {"train": (3000, 4), "test": (1500, 150), "improvement": (1500, 150)}
    splits = {}
    for (name, (usual, each)), rng in zip(sets.items(), np.random.default_rng(seed).spawn(len(sets))):
        columns = draw_parameters(
            _GAZE_CAUSES, USUAL, {"none": usual} | dict.fromkeys(_GAZE_CAUSES, each), rng
        )
        labels = np.floor((columns["gaze_angle"] + 22.5) / 45).astype(np.int64) % 8
        splits[name] = _split(columns, labels, GAZE_CLASSES, rng)
    return splits


def _open(seed: int) -> dict[str, Arrays]:
    sets = {"train": (2000, 4), "test": (1200, 150), "improvement": (1200, 150)}
    usual = USUAL | {"skin": (0.0, 0.45), "eyelid_opening": (0.0, 2 * _OPEN_FROM)}
    splits = {}
    for (name, (count, each)), rng in zip(sets.items(), np.random.default_rng(seed).spawn(len(sets))):
        columns = draw_parameters(
            _OPEN_CAUSES, usual, {"none": count} | dict.fromkeys(_OPEN_CAUSES, each), rng
        )
        opening = columns["eyelid_opening"]
        splits[name] = _split(columns, (opening >= _OPEN_FROM).astype(np.int64), OPEN_CLASSES, rng)
    return splits


def _split(columns: Arrays, labels: np.ndarray, class_names: list[str], rng: np.random.Generator) -> Arrays:
    images = render({name: values for name, values in columns.items() if name != "cause"}, rng)
    return {"images": images, "labels": labels, "class_names": np.array(class_names), **columns}


GAZE = Case(
    name="eyes-gaze",
    title="a driver's gaze direction in eight sectors, rendered eyes, five under-represented parameter ranges",
    model="hudd.data.cases.eyes:gaze_model",
    make=_gaze,
    training={"epochs": 20, "batch_size": 64, "lr": 0.02, "schedule": "cosine"},
    retraining={"epochs": 20, "batch_size": 64, "lr": 0.02, "schedule": "cosine"},
    study={"angles": {"gaze_angle": 360}},
)
OPEN = Case(
    name="eyes-open",
    title="a driver's eye open or closed, rendered eyes, five under-represented parameter ranges",
    model="hudd.data.cases.eyes:open_model",
    make=_open,
    training={"epochs": 15, "batch_size": 64, "lr": 0.02, "schedule": "cosine"},
    retraining={"epochs": 15, "batch_size": 64, "lr": 0.02, "schedule": "cosine"},
    study={"angles": {"gaze_angle": 360}},
)
