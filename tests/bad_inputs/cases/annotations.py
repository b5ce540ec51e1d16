"""Arrays and annotations of landmarks, labels of which several may apply, single scores and losses, not to be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from case import archive, new, picture, write

_TARGETS = "Targets as files of their own"
_LABELS = "Several labels, or a single score"
_COUNT = 30
_NET = """
import torch
from torch import nn
from hudd.data import Transform


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, {outputs}){head})


net.transform = Transform(grayscale=True)
"""
_NAMES = [f"{number}.png" for number in range(3)]
_TEST = "--model bad.py:net --test bad.csv --threshold 90%"
_COCO = "--model bad.py:net --test images::bad.json --threshold 90%"


def net(outputs: int = 4, head: str = "") -> None:
    """Write a DNN with so many outputs."""
    write("bad.py", _NET.format(outputs=outputs, head=head))


def arrays(*content: np.ndarray | None) -> Callable[[], None]:
    """Write a manifest of three images and the arrays of their targets, those that there are."""

    def prepare() -> None:
        net()
        for name, array in zip(_NAMES, content):
            picture(name)
            if array is not None:
                np.save(f"{name}.npy", array)
        write("bad.csv", "path,places\n" + "".join(f"{name},{name}.npy\n" for name in _NAMES))

    return prepare


def coco(points: object = (1, 2, 2, 3, 4, 2), **changes: object) -> Callable[[], None]:
    """Write three images with the same two points each."""

    def prepare() -> None:
        net()
        for name in _NAMES:
            picture(f"images/{name}")
        content = {
            "images": [{"id": at, "file_name": name, "width": 8, "height": 8} for at, name in enumerate(_NAMES)],
            "annotations": [{"image_id": at, "category_id": 1, "keypoints": points} for at in range(3)],
            "categories": [{"id": 1, "name": "eye", "keypoints": ["inner", "outer"]}],
        } | changes  # fmt: skip
        write("bad.json", json.dumps(content))

    return prepare


_SOUND = np.arange(4.0).reshape(2, 2)
new(_TARGETS, "An array of targets that is not there", _TEST, arrays(_SOUND, None, _SOUND))
new(_TARGETS, "Arrays of targets of different shapes", _TEST, arrays(_SOUND, np.zeros((3, 2)), _SOUND))
new(_TARGETS, "An array of an image in place of targets", _TEST, arrays(np.zeros((8, 8)), _SOUND, _SOUND))
new(_TARGETS, "An array of words in place of targets", _TEST, arrays(_SOUND, np.array(["a"]), _SOUND))
new(
    _TARGETS,
    "A file of another kind in place of an array",
    _TEST,
    lambda: (arrays(_SOUND, None, _SOUND)(), write("1.png.npy", "1,2\n3,4\n")),
    foreign=r"(?<=cannot be read \().*(?=\); write)",
)
new(_TARGETS, "Annotations that do not exist", "--test images::nowhere.json", coco())
new(
    _TARGETS,
    "Annotations that are not JSON",
    _COCO,
    lambda: (coco()(), write("bad.json", "{")),
    foreign=r"(?<=cannot be read \().*(?=\); a file)",
)
new(_TARGETS, "Annotations of another form", _COCO, coco(images=3))
new(
    _TARGETS,
    "Annotations without keypoints",
    _COCO,
    coco(annotations=[{"image_id": 0, "bbox": [0, 0, 1, 1]}]),
)
new(
    _TARGETS,
    "Annotations of other images",
    _COCO,
    coco(images=[{"id": at, "file_name": "x"} for at in range(3)]),
)
new(_TARGETS, "Keypoints without visibility", _COCO, coco((1, 2, 3, 4)))
new(_TARGETS, "Keypoints that are all absent", _COCO, coco((0, 0, 0, 0, 0, 0)))
new(
    _TARGETS,
    "Two annotated objects in an image",
    _COCO,
    coco(annotations=[{"image_id": 0, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2]}] * 2),
)
new(_TARGETS, "Annotations of an archive", "--test test.npz::bad.json", coco())


def labels(values: object, outputs: int = 2, head: str = "") -> Callable[[], None]:
    """Write labels for 30 images, (30, K), and a DNN."""

    def prepare() -> None:
        net(outputs, head)
        columns = dict(zip(("dog", "cat", "cow"), np.asarray(values, float).T))
        archive(count=_COUNT, labels=None, **columns)

    return prepare


def classes(count: int, outputs: int = 1) -> Callable[[], None]:
    """Write images of so many classes, and a DNN."""

    def prepare() -> None:
        net(outputs)
        archive(count=_COUNT, labels=np.arange(_COUNT) % count)

    return prepare


_ANY = np.random.default_rng(5).integers(0, 2, (_COUNT, 2))
_SEVERAL = "--model bad.py:net --test bad.npz --task multilabel --targets dog,cat"
_SINGLE = "--model bad.py:net --test bad.npz --task binary"
new(_LABELS, "A label that is neither 0 nor 1", _SEVERAL, labels(_ANY + 1))
new(
    _LABELS,
    "A test image without any label",
    _SEVERAL,
    labels(np.where(np.arange(_COUNT)[:, None] == 4, np.nan, _ANY)),
)
new(_LABELS, "Fewer labels than outputs", _SEVERAL, labels(_ANY, 3))
new(_LABELS, "A label that is no column", f"{_SEVERAL},horse", labels(_ANY, 3))
new(_LABELS, "No columns of labels", "--test test.npz --task multilabel")
new(_LABELS, "Labels of which one alone can apply", _SEVERAL, labels(_ANY, head=", nn.Softmax(1)"))
new(_LABELS, "A threshold that no label can be beyond", f"{_SEVERAL} --threshold 3", labels(_ANY))
new(_LABELS, "A single score of three classes", _SINGLE, classes(3))
new(_LABELS, "Several scores as a single one", _SINGLE, classes(2, 2))
new(_LABELS, "A single score as one for each class", f"{_SINGLE[:-6]}classification", classes(2))
new(_LABELS, "A threshold that is no probability", f"{_SINGLE} --threshold 30%", classes(2))
new(_LABELS, "A loss that does not exist", "--test test.npz --loss hinge")
new(_LABELS, "A loss of numbers for classes", "--test test.npz --loss wing")
new(_LABELS, "A loss of classes for labels", f"{_SEVERAL} --loss cross-entropy", labels(_ANY))
new(
    _LABELS, "A loss that cannot be made", "--test test.npz --loss bad.py:net", lambda: Path("bad.py").touch()
)
