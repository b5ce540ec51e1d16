"""Pairs of studies that cannot be held against each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import h5py
import numpy as np
from case import Prepare, add, write

_PAIR = "Two studies"
_CALL = "diff study other"


def _other(change: Callable[[h5py.File], object]) -> Prepare:
    """Make a copy of the finished study, with something changed."""

    def prepare() -> None:
        from hudd.study import Study

        with Study.open(shutil.copytree("study", "other")).writing() as h5:
            change(h5)

    return prepare


def _new(test: str, tested: bool) -> Prepare:
    """Make a study of the sound model, tested or not."""

    def prepare() -> None:
        from hudd.study import Study

        made = Study.create("other", model="model.py:cnn", weights="cnn.safetensors", test=test)
        if tested:
            made.test()

    return prepare


def _thresholds(limit: float) -> Callable[[h5py.File], object]:
    return lambda file: file["splits/test"].attrs.update(facts=json.dumps({"thresholds": [limit]}))


def _images(file: h5py.File) -> None:
    """As if all images but two were others, under the same names."""
    file["splits/test/pixels"][2:] ^= np.uint64(1)


add(_PAIR, "One study only", "diff study")
add(_PAIR, "A study compared with itself", "diff study study")
add(_PAIR, "The same study by another path", "diff study ./study/study.h5")
add(_PAIR, "A study compared with one that does not exist", "diff study nowhere")
add(_PAIR, "A study compared with one that is not tested", _CALL, _new("test.npz", tested=False), 1)
add(_PAIR, "Test sets without a common image", _CALL, _new("improvement.npz", tested=True))
add(_PAIR, "Test sets with few common images, but the same names", _CALL, _other(_images))
add(_PAIR, "Studies of two tasks", _CALL, _other(lambda file: file.attrs.update(task="keypoints")))
add(
    _PAIR,
    "Studies of other classes",
    _CALL,
    _other(lambda file: file["class"].write_direct(np.array([b"ant", b"bee", b"dog"], object))),
)
add(_PAIR, "Studies with other thresholds", _CALL, _other(_thresholds(0.5)))
add(_PAIR, "A page that is no HTML", f"{_CALL} --out diff.pdf", _other(lambda file: None))
add(_PAIR, "A page in a folder that is not there", f"{_CALL} --out none/diff.html", _other(lambda file: None))
add(
    _PAIR,
    "A page over a file that is there",
    f"{_CALL} --out diff.html",
    lambda: (_other(lambda file: None)(), write("diff.html", "")),
)
