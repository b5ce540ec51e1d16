"""Numbers to predict of a driver's eye, drawn with known parameters: twelve landmarks, or two angles of the gaze.

As in :mod:`hudd.data.cases.eyes`, the training set leaves named parameter ranges nearly empty, and an image of one of
them carries its name in the column ``cause``.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from torch import nn

from hudd.data.cases.case import Arrays, Case
from hudd.data.cases.eye_renderer import SIZE, landmarks, render
from hudd.data.cases.eyes import USUAL, Range, draw_parameters, network
from hudd.data.transforms import Transform

NAMES = [
    "iris",
    "inner_corner",
    "outer_corner",
    *(f"{lid}_lid_{place}" for place in ("inner", "middle", "outer") for lid in ("upper", "lower")),
    *(f"brow_{place}" for place in ("inner", "middle", "outer")),
]
_CAUSES: dict[str, dict[str, Range]] = {
    "head-yaw": {"head_yaw": (34, 48)},
    "head-pitch": {"head_pitch": (20, 32)},
    "lids": {"eyelid_opening": (0.18, 0.34)},
    "dark": {"light": (0.01, 0.04), "ambient": (0.008, 0.02)},
    "iris": {"iris_size": (0.1, 0.18)},
}
_SETS = {"train": (2500, 4), "test": (1000, 110), "improvement": (1000, 110), "judge": (1000, 110)}


def landmarks_model() -> nn.Module:
    """Build the untrained CNN for the landmarks: 64x64 RGB in, x and y of twelve places out, in pixels."""
    model = network(2 * len(NAMES))
    nn.init.constant_(model.get_parameter("13.bias"), SIZE / 2)  # all begin in the middle
    return model


def angles_model() -> nn.Module:
    """Build the untrained CNN for the gaze: 64x64 RGB in, yaw and pitch in degrees out."""
    return network(2)


for _model in (landmarks_model, angles_model):
    _model.transform = Transform(mean=0.5, std=0.25)  # type: ignore[attr-defined]


def _splits(seed: int, *, angles: bool) -> dict[str, Arrays]:
    splits = {}
    for (name, (usual, each)), rng in zip(_SETS.items(), np.random.default_rng(seed).spawn(len(_SETS))):
        columns = draw_parameters(_CAUSES, USUAL, {"none": usual} | dict.fromkeys(_CAUSES, each), rng)
        numbers = {key: values for key, values in columns.items() if key != "cause"}
        images, places = render(numbers, rng), landmarks(numbers)
        if angles:
            splits[name] = {"images": images, **columns}
        else:
            targets = np.stack([places[landmark] for landmark in NAMES], axis=1)
            splits[name] = {"images": images, "targets": targets, "target_names": np.array(NAMES), **columns}
    return splits


LANDMARKS = Case(
    name="landmarks",
    title="twelve landmarks of a driver's eye, rendered, five under-represented parameter ranges",
    model="hudd.data.cases.landmarks:landmarks_model",
    make=partial(_splits, angles=False),
    training={"epochs": 20, "batch_size": 32, "lr": 0.005, "optimizer": "adam", "schedule": "cosine"},
    retraining={"epochs": 8, "batch_size": 32, "lr": 0.002, "optimizer": "adam", "schedule": "cosine"},
    study={"threshold": "5", "angles": {"gaze_angle": 360}},
)
GAZE_ANGLES = Case(
    name="gaze-angles",
    title="yaw and pitch of a driver's gaze in degrees, rendered eyes, five under-represented parameter ranges",
    model="hudd.data.cases.landmarks:angles_model",
    make=partial(_splits, angles=True),
    training={"epochs": 15, "batch_size": 64, "lr": 0.002, "optimizer": "adam", "schedule": "cosine"},
    retraining={"epochs": 10, "batch_size": 64, "lr": 0.001, "optimizer": "adam", "schedule": "cosine"},
    study={
        "task": "regression",
        "targets": ("gaze_yaw", "gaze_pitch"),
        "threshold": "8",
        "angles": {"gaze_angle": 360, "gaze_yaw": 360, "gaze_pitch": 360},
    },
)
