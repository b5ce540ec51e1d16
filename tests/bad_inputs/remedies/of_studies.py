"""Labels, studies, and numbers to predict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from remedy import MODEL, call, run

from hudd.cli import call as hudd

# -- labels
_IMPORT = "label study --import"


def _labels(text: str) -> Callable[[], object]:
    return lambda: Path("bad.csv").write_text(text)


def _exported(name: str) -> Callable[[], object]:
    def export() -> None:
        if Path(name).is_dir():
            Path(name).rmdir()
        Path(name).unlink(missing_ok=True)
        assert hudd(["label", "study", "--export", name]) == 0

    return export


_bee = _labels("path,label\nimprovement.npz[0],bee\n")
call("Labels that do not exist", f"{_IMPORT} bad.csv --overwrite", _bee)
call("No columns of paths and labels", f"{_IMPORT} bad.csv --overwrite", _bee)
call("An image that is not in the set", f"{_IMPORT} bad.csv --overwrite", _bee)
call("A class that does not exist", f"{_IMPORT} bad.csv --overwrite", _bee)
call("An image with two labels", f"{_IMPORT} bad.csv --overwrite", _bee)
call("A label other than the known one", f"{_IMPORT} bad.csv --overwrite")
call("Labels that are not UTF-8", f"{_IMPORT} bad.csv --overwrite", _bee)
for _what in (
    "Tasks that are not JSON",
    "Tasks nested a hundred thousand deep",
    "A file that is no list of tasks",
    "A task without an image",
    "A task of another shape",
):
    call(_what, f"{_IMPORT} bad.json", _exported("bad.json"))
call("A folder that hudd did not write", f"{_IMPORT} bad", _exported("bad"))
call("Export into a folder that is not empty", "label study --export folder")
call("Export over labels that were filled in", "label study --export todo.csv --overwrite")

# -- studies


def _restored() -> None:
    shutil.rmtree("study")
    shutil.copytree("../sound/study", "study")


run("A study that does not exist")
for _what in (
    "A file that is not HDF5",
    "A study that was cut off",
    "An HDF5 file of something else",
    "Settings that are not JSON",
    "Settings of the wrong kind",
    "A missing dataset",
    "Errors that are not in the test set",
    "An external link",
    "A soft link",
    "A virtual dataset of another file",
    "A virtual dataset that climbs out",
    "Values that lie in another file",
    "An HDF5 bomb",
):
    call(_what, "show study", _restored)
for _what in (
    "A value that another program changed",
    "A bit that flipped in a value after another program opened it",
):
    call(_what, "repair study --accept-changes")
run("A study of a later version")
call("Heatmaps whose shard is gone", "heatmaps study")
call("A study that another machine is writing", "cluster study --max-clusters 3 --break-lock")
call("A study without an improvement set", "select study --improvement improvement.npz")
call("Labels of a study without an improvement set", "run study --improvement improvement.npz")
call("A study without a training set", "retrain study --train train.npz")
run("A model that makes no error", "--test test.npz")

# -- numbers, angles and landmarks
_NET = "--model bad.py:net --test bad.npz"
_TARGETS = "--test bad.npz --threshold 90%"


def on_test_set(what: str, options: str, correct: Callable[[], object] = lambda: None) -> None:
    """Follow the advice by a test: of the sound model where none is given."""
    call(what, f"test new {options if '--model' in options else f'{MODEL} {options}'}", correct)


def _other(**changes: object) -> Callable[[], None]:
    """Write other arrays into bad.npz."""

    def correct() -> None:
        with np.load("bad.npz") as file:
            own = dict(file)
        count = len(own["images"])
        drawn = np.random.default_rng(3).uniform(0, 8, (count, 3))
        own |= {name: drawn if isinstance(value, str) else value for name, value in changes.items()}
        np.savez("bad.npz", **{name: value for name, value in own.items() if value is not None})

    return correct


def _spots(name: str) -> None:
    """Write an archive with three targets."""
    rng = np.random.default_rng(4)
    np.savez(name, images=rng.integers(0, 256, (30, 8, 8), np.uint8), targets=rng.uniform(0, 8, (30, 3)))


def _cleaned() -> None:
    with np.load("bad.npz") as file:
        own = dict(file)
    own["targets"] = np.nan_to_num(own["targets"], nan=1.0, posinf=1.0)
    np.savez("bad.npz", **own)


def _inside() -> None:
    with np.load("bad.npz") as file:
        own = dict(file)
    own["targets"] = np.minimum(own["targets"], 7)
    np.savez("bad.npz", **own)


on_test_set("A regressor that is tested as a classifier", f"{_NET} --task classification")
on_test_set("Labels that are fractions", _TARGETS, _other(labels=None, targets=np.arange(12.0).reshape(4, 3)))
for _what in ("No targets", "A target that is no column", "A target of words", "A target named twice"):
    on_test_set(_what, _TARGETS, lambda: _spots("bad.npz"))
on_test_set("Fewer targets than outputs", _TARGETS, _other(targets="drawn"))
on_test_set("More targets than outputs", f"{_TARGETS} --targets 0,1,2")
on_test_set("Targets of fewer images", _TARGETS, _other(targets="drawn"))
on_test_set("Fewer names than targets", _TARGETS, _other(target_names=np.array(["a", "b", "c"])))
on_test_set("A test image without a target", _TARGETS, _cleaned)
on_test_set("An infinite target", _TARGETS, _cleaned)
for _what in (
    "No threshold",
    "A threshold of 0",
    "A threshold that is a word",
    "A threshold above all images",
):
    on_test_set(_what, _TARGETS)
on_test_set("A threshold of another output", "--test bad.npz --threshold 0=3,1=3,2=4")
on_test_set("A threshold for some outputs only", "--test bad.npz --threshold 0=3,1=3,2=4")
on_test_set("A threshold that all images are within", _TARGETS)
on_test_set("A threshold that all images are beyond", _TARGETS)
on_test_set("An output to explain that does not exist", f"{_TARGETS} --explained 0,2")
on_test_set(
    "Errors divided by what does not exist", f"{_TARGETS} --normalise face", _other(face=np.full(30, 2.0))
)
on_test_set("Errors divided by 0", f"{_TARGETS} --normalise face", _other(face=np.full(30, 2.0)))
run("Angles in radians with a period of degrees", f"{_TARGETS} --angles yaw=6.283185")
on_test_set(
    "Improvement images without targets, of which the worst output is asked for",
    f"{_TARGETS} --improvement empty.npz --explained all",
)
run("Selection by an entropy that there is none of", f"{_TARGETS} --strategy hybrid")
run("Trusted images of numbers", _TARGETS)
on_test_set("Landmarks of an odd number of columns", f"{_TARGETS} --task regression")
on_test_set("A landmark far outside the image", f"{_NET} --threshold 90%", _inside)
on_test_set("The distance of a landmark that does not exist", f"{_NET} --threshold 90% --normalise 0,1")
on_test_set("Maps of landmarks as plain numbers", f"{_NET} --threshold 90% --task keypoints")
