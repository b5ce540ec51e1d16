"""Commands, options, models and weights."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import torch
from remedy import call, run
from safetensors.torch import load_file, save_file

from hudd.capture.loading import load_model

_TOY = Path(__file__).resolve().parents[2] / "extending" / "toy" / "hudd_toy" / "cases.py"

# -- commands and options
call("A command that does not exist", "--help")
run("An option that does not exist")
call("No study named", "show study")
run("A new study without a model")
run("A new study without a test set")
run("The study is a file")


def _bars() -> None:
    Path("bars.py").write_text(_TOY.read_text(encoding="utf-8").replace("hudd_toy.cases:", "bars.py:"))


call("A language without a catalogue", "report study --language en")
call(
    "A file that is no catalogue",
    "report study --language test.mo",
    lambda: Path("test.mo").write_bytes(struct.pack("<7I", 0x950412DE, 0, 0, 28, 28, 0, 28)),  # of no message
)
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
