"""Arrays and annotations of landmarks, labels of which several may apply, single scores and losses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from remedy import call, run

_ARRAYS = "test new --model bad.py:net --test bad.csv --threshold 60%"
_COCO = "test new --model bad.py:net --test images::bad.json --threshold 60%"


def _arrays() -> None:
    for number in range(3):
        np.save(f"{number}.png.npy", np.arange(4.0).reshape(2, 2) + number)


def _annotations() -> None:
    points = [[1, 2, 2, 3, 4, 2], [2, 2, 2, 0, 0, 0], [3, 2, 1, 3, 4, 2]]
    content = {
        "images": [{"id": at, "file_name": f"{at}.png"} for at in range(3)],
        "annotations": [{"image_id": at, "category_id": 1, "keypoints": each} for at, each in enumerate(points)],
        "categories": [{"id": 1, "name": "eye", "keypoints": ["inner", "outer"]}],
    }  # fmt: skip
    Path("bad.json").write_text(json.dumps(content))


for _what in (
    "An array of targets that is not there",
    "Arrays of targets of different shapes",
    "An array of an image in place of targets",
    "An array of words in place of targets",
    "A file of another kind in place of an array",
):
    call(_what, _ARRAYS, _arrays)
for _what in (
    "Annotations that do not exist",
    "Annotations that are not JSON",
    "Annotations of another form",
    "Annotations without keypoints",
    "Annotations of other images",
    "Keypoints without visibility",
    "Keypoints that are all absent",
    "Two annotated objects in an image",
    "Annotations of an archive",
):
    call(_what, _COCO, _annotations)

_NET = "test new --model bad.py:net --test bad.npz"


def _labels(columns: int = 2) -> None:
    with np.load("bad.npz") as file:
        own = dict(file)
    drawn = np.random.default_rng(6).integers(0, 2, (30, columns))
    np.savez("bad.npz", **own | dict(zip(("dog", "cat", "cow"), drawn.T)))


call("A label that is neither 0 nor 1", f"{_NET} --targets dog,cat", _labels)
call("A test image without any label", f"{_NET} --targets dog,cat", _labels)
call("Fewer labels than outputs", f"{_NET} --targets dog,cat,cow", lambda: _labels(3))
call("A label that is no column", f"{_NET} --targets dog,cat,cow", lambda: _labels(3))
run("No columns of labels")
call(
    "Labels of which one alone can apply",
    f"{_NET} --targets dog,cat",
    lambda: Path("bad.py").write_text(Path("bad.py").read_text().replace("Softmax(1)", "Sigmoid()")),
)
call("A threshold that no label can be beyond", f"{_NET} --targets dog,cat --threshold 0.5")


def _two_classes() -> None:
    with np.load("bad.npz") as file:
        np.savez("bad.npz", images=file["images"], labels=np.arange(30) % 2)


call("A single score of three classes", f"{_NET} --task binary", _two_classes)
call("Several scores as a single one", f"{_NET} --task classification")
call("A single score as one for each class", f"{_NET} --task binary")
call("A threshold that is no probability", f"{_NET} --task binary --threshold 0.3")
run("A loss that does not exist", "--loss cross-entropy")
run("A loss of numbers for classes", "--loss cross-entropy")
call("A loss of classes for labels", f"{_NET} --targets dog,cat")
run("A loss that cannot be made", "--loss torch.nn:CrossEntropyLoss")
