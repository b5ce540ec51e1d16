"""Studies that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from case import add, changed, flipped, new, opened, write

_STUDY = "Studies"
_DAMAGED = r"(?<=damaged \().*(?=\); restore)"
add(_STUDY, "A study that does not exist", "show nowhere")
add(_STUDY, "A file that is not HDF5", "show study", lambda: write("study/study.h5", b"x" * 99), 1, _DAMAGED)
add(
    _STUDY,
    "A study that was cut off",
    "show study",
    lambda: write("study/study.h5", Path("study/study.h5").read_bytes()[:5000]),
    1,
    _DAMAGED,
)
add(_STUDY, "A value that another program changed", "show study", opened(
    lambda file: file["error"].write_direct(file["error"][()][::-1].copy())), 1)  # fmt: skip
add(_STUDY, "A bit that flipped in a value after another program opened it", "repair study", flipped, 1)
add(_STUDY, "An HDF5 file of something else", "show study", changed(lambda file: file.attrs.pop("format")))
add(_STUDY, "A study of a later version", "show study", changed(lambda file: file.attrs.update(version=9)))
add(_STUDY, "Settings that are not JSON", "show study", changed(lambda file: file.attrs.update(settings="{")),
     foreign=r"(?<=JSON \().*(?=\);)")  # fmt: skip
add(
    _STUDY,
    "Settings of the wrong kind",
    "show study",
    changed(lambda file: file.attrs.update(settings=json.dumps({"model": "a:b", "test": "x", "seed": "0"}))),
)
add(
    _STUDY,
    "A missing dataset",
    "show study",
    changed(lambda file: file.pop("splits/test/label")),
    1,
    _DAMAGED,
)
add(
    _STUDY, "Errors that are not in the test set", "show study", changed(lambda file: file["error"].write_direct(
        np.full(file["error"].shape, 10**6))), 1,
)  # fmt: skip
add(
    _STUDY,
    "An external link",
    "show study",
    changed(lambda file: file.__setitem__("x", h5py.ExternalLink("/home/ann/other.h5", "/"))),
    1,
)
add(
    _STUDY,
    "A soft link",
    "show study",
    changed(lambda file: file.__setitem__("x", h5py.SoftLink("/error"))),
    1,
)


def _virtual(source: str) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(source, "x", (4,))
        file.create_virtual_dataset("x", layout)

    return change


def _external(file: h5py.File) -> None:
    file.create_dataset("x", (100,), "u1", external=[("/etc/passwd", 0, 100)])


add(_STUDY, "A virtual dataset of another file", "show study", changed(_virtual("/home/ann/other.h5")), 1)
add(_STUDY, "A virtual dataset that climbs out", "show study", changed(_virtual("shards/../../other.h5")), 1)
add(_STUDY, "Values that lie in another file", "show study", changed(_external), 1)
add(
    _STUDY,
    "An HDF5 bomb",
    "show study",
    changed(lambda file: file.create_dataset("x", (2**40,), "f8", chunks=(1024,), compression="gzip")),
    1,
)


def _without_shards() -> None:
    for shard in Path("study/shards/heatmaps").rglob("*.h5"):
        shard.unlink()


add(_STUDY, "Heatmaps whose shard is gone", "export study --format tensors", _without_shards, 1,
     foreign=r"(?<=heatmaps/)\w+")  # fmt: skip
add(
    _STUDY,
    "A study that another machine is writing",
    "cluster study --max-clusters 3",
    lambda: write("study/.lock", json.dumps({"pid": 7, "host": "elsewhere", "since": 4102444800})),
    1,
)
add(
    _STUDY,
    "A study without an improvement set",
    "select study",
    changed(lambda file: file.attrs.update(settings=_without(file.attrs["settings"], "improvement"))),
)
add(
    _STUDY,
    "Labels of a study without an improvement set",
    "label study",
    changed(lambda file: file.attrs.update(settings=_without(file.attrs["settings"], "improvement"))),
)
add(
    _STUDY,
    "A study without a training set",
    "retrain study",
    changed(lambda file: file.attrs.update(settings=_without(file.attrs["settings"], "train"))),
)
new(_STUDY, "A model that makes no error", "--test bad.npz", lambda: _right(), 1)


def _without(settings: str, name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(settings).items() if key != name})


def _right() -> None:
    """A test set of those images that the sound model gets right."""
    from hudd.study import Study

    right = Study.open("study").split("test").correct
    arrays = np.load("test.npz")
    np.savez("bad.npz", **{name: a[right] if len(a) == len(right) else a for name, a in arrays.items()})
