"""Numbers to predict, angles and landmarks that cannot be used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from case import Prepare, archive, module, new, write

_NUMBERS = "Numbers, angles and landmarks"
_COUNT = 30
_DRAWN = np.random.default_rng(1).uniform(0, 8, (_COUNT, 3)).round(3)
_TEST = "--test bad.npz --threshold 90%"
_NET = """
from torch import nn
from hudd.data import Transform


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


net.transform = Transform(grayscale=True)
"""
_LANDMARKS = "--model bad.py:net --test bad.npz --threshold 90%"


def _targets(values: np.ndarray = _DRAWN, **arrays: object) -> Prepare:
    """Write the images of an archive with targets in place of labels."""
    return lambda: archive(count=_COUNT, **{"labels": None, "targets": values, **arrays})


def _with(change: Callable[[np.ndarray], object]) -> np.ndarray:
    values = _DRAWN.copy()
    change(values)
    return values


def _landmarks(places: np.ndarray, **arrays: object) -> Prepare:
    def prepare() -> None:
        write("bad.py", _NET)
        _targets(places, **arrays)()

    return prepare


_PLACES = np.random.default_rng(2).uniform(0, 8, (_COUNT, 2, 2)).round(3)


def _far() -> np.ndarray:
    places = _PLACES.copy()
    places[3, 1] = (200, 300)
    return places


new(
    _NUMBERS,
    "A regressor that is tested as a classifier",
    "--model bad.py:net --test bad.npz",
    lambda: (
        write("bad.py", _NET.replace("nn.Flatten(), nn.Linear(64, 4))", "nn.Flatten(), last)").replace(
            "    return",
            "    last = nn.Linear(64, 4)\n    nn.init.zeros_(last.weight)\n    nn.init.constant_(last.bias, 1)\n"
            "    nn.init.zeros_(last.bias[:1])\n    return",
        )),
        archive(count=_COUNT, labels=np.zeros(_COUNT, int)),
    ),
    code=1,
)  # fmt: skip
new(_NUMBERS, "Labels that are fractions", "--test bad.npz", lambda: archive(labels=np.arange(4) / 2))
new(_NUMBERS, "No targets", "--test test.npz --task regression --threshold 90%")
new(_NUMBERS, "A target that is no column", "--test test.npz --targets height --threshold 90%")
new(_NUMBERS, "A target of words", "--test test.npz --targets cause --threshold 90%")
new(_NUMBERS, "A target named twice", "--test test.npz --targets width,width --threshold 90%")
new(_NUMBERS, "Fewer targets than outputs", _TEST, _targets(_DRAWN[:, :2]))
new(_NUMBERS, "More targets than outputs", _TEST, _targets(np.hstack([_DRAWN, _DRAWN])))
new(_NUMBERS, "Targets of fewer images", _TEST, _targets(_DRAWN[:5]))
new(_NUMBERS, "Fewer names than targets", _TEST, _targets(target_names=np.array(["a", "b"])))
new(_NUMBERS, "A test image without a target", _TEST, _targets(_with(lambda v: np.put(v, 13, np.nan))))
new(_NUMBERS, "An infinite target", _TEST, _targets(_with(lambda v: np.put(v, 13, np.inf))))
new(_NUMBERS, "No threshold", "--test bad.npz", _targets())
new(_NUMBERS, "A threshold of 0", "--test bad.npz --threshold 0", _targets())
new(_NUMBERS, "A threshold that is a word", "--test bad.npz --threshold low", _targets())
new(_NUMBERS, "A threshold above all images", "--test bad.npz --threshold 100%", _targets())
new(_NUMBERS, "A threshold of another output", "--test bad.npz --threshold yaw=3", _targets())
new(_NUMBERS, "A threshold for some outputs only", "--test bad.npz --threshold 0=3,1=3", _targets())
new(_NUMBERS, "A threshold that all images are within", "--test bad.npz --threshold 1e9", _targets(), code=1)
new(_NUMBERS, "A threshold that all images are beyond", "--test bad.npz --threshold 1e-9", _targets(), code=1)
new(_NUMBERS, "An output to explain that does not exist", f"{_TEST} --explained mouth_*", _targets())
new(_NUMBERS, "Errors divided by what does not exist", f"{_TEST} --normalise face", _targets())
new(
    _NUMBERS,
    "Errors divided by 0",
    f"{_TEST} --normalise face",
    _targets(face=np.arange(_COUNT) % 3 * 1.0),
)
new(
    _NUMBERS,
    "Angles in radians with a period of degrees",
    f"{_TEST} --angles yaw=360",
    _targets(np.linspace(-3.1, 3.1, 3 * _COUNT).reshape(_COUNT, 3), target_names=np.array(["yaw", "b", "c"])),
)
new(
    _NUMBERS,
    "Improvement images without targets, of which the worst output is asked for",
    f"{_TEST} --improvement empty.npz",
    lambda: (
        _targets()(),
        archive("empty.npz", 5, labels=None, targets=np.full((5, 3), np.nan), images=np.ones((5, 8, 8), np.uint8)),
    ),
)  # fmt: skip
new(_NUMBERS, "Selection by an entropy that there is none of", f"{_TEST} --strategy entropy", _targets())
new(_NUMBERS, "Trusted images of numbers", f"{_TEST} --trusted 0.5", _targets())
new(
    _NUMBERS,
    "Landmarks of an odd number of columns",
    f"{_TEST} --task keypoints",
    _targets(),
)
new(_NUMBERS, "A landmark far outside the image", _LANDMARKS, _landmarks(_far()))
new(
    _NUMBERS,
    "The distance of a landmark that does not exist",
    f"{_LANDMARKS} --normalise 0,eye",
    _landmarks(_PLACES),
)
new(
    _NUMBERS,
    "Maps of landmarks as plain numbers",
    "--model bad.py:net --test bad.npz --threshold 90% --task regression",
    lambda: (
        module(
            "from torch import nn\nfrom hudd.data import Transform\n\n\ndef net():\n    return nn.Conv2d(1, 2, 3)\n\n\n"
            "net.transform = Transform(grayscale=True)\n"
        )(),
        _targets(_PLACES)(),
    ),
)
