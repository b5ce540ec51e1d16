"""What the message of each bad input advises, done: the call that then succeeds, and what is corrected before it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from hudd.capture.loading import load_model
from hudd.cli import call as hudd

MODEL = "--model model.py:cnn --weights cnn.safetensors"
_TOY = Path(__file__).resolve().parents[1] / "extending" / "toy" / "hudd_toy" / "cases.py"


@dataclass(frozen=True)
class Remedy:
    """A call, and what is done before it in the folder of the bad input."""

    arguments: str
    correct: Callable[[], object] = lambda: None


REMEDIES: dict[str, Remedy] = {}


def call(what: str, arguments: str, correct: Callable[[], object] = lambda: None) -> None:
    """Follow the advice by another call."""
    assert what not in REMEDIES
    REMEDIES[what] = Remedy(arguments, correct)


def run(what: str, options: str = "", correct: Callable[[], object] = lambda: None) -> None:
    """Follow the advice by the same run with other options: of the sound model and test set where none are given."""
    sound = "" if "--model" in options else MODEL.split(" --weights")[0] if "--weights" in options else MODEL
    test = "" if "--test" in options else "--test test.npz"
    call(what, f"run new {sound} {test} {options}", correct)


# -- commands and options
call("A command that does not exist", "--help")
run("An option that does not exist")
call("No study named", "show study")
run("A new study without a model")
run("A new study without a test set")
run("The study is a file")


def _bars() -> None:
    Path("bars.py").write_text(_TOY.read_text(encoding="utf-8").replace("hudd_toy.cases:", "bars.py:"))


call("A case that is not bundled", "demo --case bars.py:BARS --out demo", _bars)
call("A case of a negative seed", "demo --case bars.py:BARS --out demo --seed 0", _bars)
call("A case where no folder can be made", "demo --case bars.py:BARS --out demo", _bars)
for _what, _options in {
    "Text where a whole number belongs": "--seed 3",
    "A negative seed": "--seed 0",
    "A seed of more than 32 bits": "--seed 4294967295",
    "A size that is no size": "--resize 8x8",
    "A size of nothing": "--resize 8x8",
    "A mean that is no number": "--gray --mean 0.5",
    "A mean of two numbers": "--gray --mean 0.5",
    "Three means for one channel": "--gray --mean 0.4",
    "A standard deviation of zero": "--gray --std 1",
    "A scale that is not a number": "--gray --scale 0.003922",
    "An unknown preset": "--preset hudd",
    "An unknown pooling": "--preset hudd --pool channel",
    "A pooling of what is not pooled": "--preset hudd --pool channel",
    "An unknown composite": "--rules epsilon-plus",
    "Rules by layer that cannot be read": "--rules *=epsilon",
    "A rule by layer that is unknown": "--rules *=z-plus",
    "Layers that the model does not have": "--layers 0",
    "A batch of no image": "--batch-size 1",
    "Fewer decoding threads than none": "--workers 0",
    "A factor of zero": "--factor 0.5",
    "A factor and a budget": "--budget 2",
    "A budget of no image": "--budget 1",
    "A budget with bags that go by factor": "--preset hudd-2021 --factor 0.3",
    "A single cluster at most": "--max-clusters 2",
    "A size of clusters that density finds": "--clusterer ward --cluster-size 9",
    "No epoch": "--epochs 1",
    "A learning rate that is not a number": "--lr 0.001",
    "An unknown optimizer": "--optimizer adam",
    "An unknown strategy to compare": "--compare hudd,random",
    "An unknown strategy to select by": "--strategy hybrid",
    "An unknown compression": "--compression gzip",
    "An unknown device": "--device cpu",
    "An unknown number type": "--dtype float16",
    "An unknown choice of what to keep": "--store selected",
    "Unknown features": "--features activation",
    "An unknown reduction": "--reduction pca",
    "An unknown clusterer": "--clusterer kmeans",
    "An angle without its period": "--angles width=360",
    "A period that is no number": "--angles width=360",
    "A period of zero": "--angles width=360",
    "An angle that is not in the test set": "--angles width=360",
    "A layer of features that have none": "--layer auto",
}.items():
    run(_what, _options)
call("A negative learning rate for a finished study", "retrain study --lr 0.001")
call("Parameters to freeze that the model does not have", "retrain study --freeze 0.*")
call("A unit of what is not in the test set", "evaluate study --units width=px")
call("An unknown step to rerun", "run study --force evaluate")
call("A layer that is not in the study", "cluster study --layer 2")
call("An unknown format to export to", "export study --format csv")

# -- models and weights
_SOUND = """
from hudd.data import Transform
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 3)

    def forward(self, x):
        return self.last(x.flatten(1))


def net():
    return Net()


Net.transform = net.transform = Transform(grayscale=True)
"""


def _sound_model(name: str = "bad.py") -> Callable[[], object]:
    def write() -> None:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(_SOUND)

    return write


def _program(name: str) -> Callable[[], object]:
    def save() -> None:
        module = load_model("model.py:cnn", "cnn.safetensors").module
        batch = {"input": {0: torch.export.Dim("n", min=1)}}
        torch.export.save(torch.export.export(module, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch), name)

    return save


def _state(save: Callable[[dict[str, torch.Tensor], str], object], name: str) -> Callable[[], object]:
    return lambda: save(load_file("cnn.safetensors"), name)


run("A spec without a factory", "--model model.py:cnn")
run("A module that is not installed", "--model nowhere.nets:net", _sound_model("nowhere/nets.py"))
run("A file that does not exist", "--model model.py:cnn")
for _what in (
    "A file that is not Python",
    "A file that fails on import",
    "A factory that needs an argument",
    "A factory that fails, with a password in its message",
    "A factory that makes no module",
    "A model that is no classifier",
    "Weights that are not numbers",
):
    run(_what, "--model bad.py:net", _sound_model())
run("A file without that function", "--model model.py:cnn")
run("A program that does not exist", "--model nowhere.pt2 --gray", _program("nowhere.pt2"))
run("A damaged program", "--model bad.pt2 --gray", _program("bad.pt2"))
run("A program and weights", "--model bad.pt2 --gray", _program("bad.pt2"))
run("A model for images of another size", "--model bad.py:net --gray --resize 6x8")
run("An operation without a relevance rule", "--model bad.py:Net", _sound_model())
run("A forward that branches on its input", "--model bad.py:Net", _sound_model())
run("Weights that do not exist", "--weights cnn.safetensors")
run("Damaged safetensors", "--weights bad.safetensors", _state(save_file, "bad.safetensors"))
for _what in (
    "Damaged weights",
    "Weights that run code when they are unpickled",
    "Weights that are no state dict",
    "Weights of another network",
    "Weights of another width",
):
    run(_what, "--weights bad.pth", _state(torch.save, "bad.pth"))
run("A checkpoint with two sets of weights that fit", "--weights bad.pth --weights-key model")
run("A model that returns a dictionary of several tensors", "--model bad.py:Net --gray --output logits")

# -- images and folders
_BAD = "--test bad --classes ant,bee,cat"


def _picture(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(os.fsencode(name))).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(noise).save(name)


def _pictures(*names: str) -> Callable[[], object]:
    return lambda: [_picture(name) for name in names]


def _move(name: str, to: str) -> Callable[[], object]:
    def move() -> None:
        Path(to).parent.mkdir(exist_ok=True)
        Path(name).rename(to)

    return move


def _copied() -> None:
    Path("bad/ant/out.png").unlink()
    shutil.copy("bad/ant/1.png", "bad/ant/out.png")


def _foldered() -> None:
    _move("bad/1.png", "bad/ant/1.png")()
    _picture("bad/bee/2.png")


run("Data that do not exist", "--test test.npz")
run("A file of an unknown kind", "--test test.npz")
run("A folder without images", _BAD, _pictures("bad/ant/1.png", "bad/bee/2.png"))
run("Images next to class folders", _BAD, _move("bad/3.png", "bad/ant/3.png"))
run("A file that is no image", _BAD, _move("bad/ant/run.exe", "run.exe"))
run("A link out of the data", _BAD, _copied)
run("A link to the folder that holds it", _BAD, lambda: Path("bad/ant/up").unlink())
for _what in (
    "A link to nothing",
    "An image file that holds something else",
    "Three image files that hold something else",
    "An empty image file",
    "A PostScript program called .png",
    "A decompression bomb",
    "A file name that steers the terminal",
):
    run(_what, f"{_BAD} --skip-bad")
run("An image of 16 bits", _BAD, _pictures("bad/ant/3.png"))
run("Images of two sizes", f"{_BAD} --resize 8x8")
run("A file name that is not UTF-8", _BAD, _move("bad/ant/\udcff.png", "bad/ant/3.png"))
run("Test images without labels", _BAD, _foldered)
run("A training set of other classes", "--train bad", _move("bad/wasp", "bad/cat"))

# -- manifests


def _manifest(text: str, *images: str) -> Callable[[], object]:
    def write() -> None:
        path = Path("bad.csv")
        if path.is_dir():
            path.rmdir()
        path.write_text(text)
        _pictures(*images)()

    return write


_two = _manifest("path,label\n1.png,0\n2.png,1\n", "1.png", "2.png")
_three = _manifest("path,label,split\n1.png,0,test\n2.png,1,test\n3.png,1,train\n", "1.png", "2.png", "3.png")


def _tables() -> None:
    import pandas as pd

    _two()
    pd.read_csv("bad.csv").to_parquet("bad.parquet")


for _what in (
    "An empty manifest",
    "No column of paths",
    "No rows",
    "A row without a path",
    "An image named twice",
    "An image that is not there",
    "Half a label",
    "An infinite label",
    "A class number out of all measure",
    "A class number beyond the model's outputs",
    "Text that is not UTF-8",
    "A row with too many cells",
    "More columns than images have parameters",
    "A manifest larger than memory",
    "A manifest that is a folder",
):
    run(_what, "--test bad.csv", _two)
run("Two parameters that are one name to a study", "--test bad.csv",
    _manifest("path,label,a/b,c\n1.png,0,1,2\n2.png,1,1,3\n", "1.png", "2.png"))  # fmt: skip
run("Several splits and none chosen", "--test bad.csv::test", _three)
run("A split that is not there", "--test bad.csv::test", _three)
run("A split of a manifest without splits", "--test bad.csv", _two)
run("A path with a zero byte", "--test bad.parquet", _tables)
run("A damaged Parquet file", "--test bad.parquet", _tables)

# -- archives and factories of data


def _archive() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    np.savez("bad.npz", images=images, labels=np.arange(6) % 3)


def _named() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    np.savez("bad.npz", images=images, labels=np.arange(6) % 3, class_names=np.array(["ant", "bee", "cat"]))


def _factory() -> None:
    Path("bad.py").write_text(
        "from PIL import Image\ndef data(): return [(Image.new('L', (8, 8), 40 * n), n % 2) for n in range(6)]\n"
    )


for _what in (
    "An archive that is none",
    "An archive without images",
    "An archive of no images",
    "Images of floats",
    "Labels for other images",
    "A parameter of another length",
    "Python objects",
    "A shape that is not there",
):
    run(_what, "--test bad.npz", _archive)
run("Fewer class names than classes", "--test bad.npz", _named)
run("A zip bomb", _BAD, _pictures("bad/ant/1.png", "bad/bee/2.png"))
for _what in (
    "A factory that makes no data",
    "A factory that makes tensors",
    "A factory that makes images of 16 bits",
    "A factory that makes no image",
):
    run(_what, "--test bad.py:data --classes ant,bee,cat", _factory)

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
on_test_set("Landmarks of an odd number of columns", f"{_TARGETS} --task regression")
on_test_set("A landmark far outside the image", f"{_NET} --threshold 90%", _inside)
on_test_set("The distance of a landmark that does not exist", f"{_NET} --threshold 90% --normalise 0,1")
on_test_set("Maps of landmarks as plain numbers", f"{_NET} --threshold 90% --task keypoints")
