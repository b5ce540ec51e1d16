"""Weights as trainers leave them: read where only one set fits, else refused with the option that chooses."""

import argparse
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hudd.capture.loading import load_model
from hudd.errors import UsageError

CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
        self.head = nn.Linear(3, 2)
    def forward(self, x):
        return self.head(self.features(x))

def half():
    return Net().half()
def bfloat16():
    return Net().bfloat16()
def double():
    return Net().double()
"""
SCOPE = {}
exec(CODE, SCOPE)


class Config:
    """A class that torch does not know as data."""

    def __init__(self):
        self.lr = 0.1


def net(seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SCOPE["Net"]()


STATE, OTHER = net().state_dict(), net(2).state_dict()


def under(prefix, state=STATE):
    return {prefix + name: value for name, value in state.items()}


def wrapped(part):
    """Names as a wrapper around ``features`` alone makes them."""
    return {name.replace("features.", f"features.{part}."): value for name, value in STATE.items()}


LIGHTNING = {
    "epoch": 3,
    "state_dict": {**under("model."), "loss.weight": torch.ones(3), "train_acc.correct": torch.tensor(3)},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    "hyper_parameters": argparse.Namespace(lr=0.1, config=Config()),
    "callbacks": {"checkpoint": {"best": np.float64(0.5)}},
}
READ = {
    "a state dict": STATE,
    "PyTorch's tutorial": {"epoch": 3, "model_state_dict": STATE, "loss": 0.1},
    "torchvision's references": {"model": STATE, "epoch": 3, "optimizer": {"state": {0: {"m": torch.ones(2)}}}},
    "net with figures": {"net": STATE, "acc": np.float64(93.0)},
    "params": {"params": STATE},
    "module": {"module": STATE, "step": torch.tensor(3)},
    "ema alone": {"ema": {"module": STATE, "updates": 7}},
    "nested twice": {"checkpoint": {"network": {"state_dict": under("net.")}}},
    "Lightning": LIGHTNING,
    "DataParallel": under("module."),
    "DDP, compiled": under("module._orig_mod."),
    "compiled within": wrapped("_orig_mod"),
    "DataParallel within": wrapped("module"),
    "AveragedModel": torch.optim.swa_utils.AveragedModel(net()).state_dict(),
    "a loss with weights": {**STATE, "criterion.weight": torch.ones(2), "n_averaged": torch.tensor(2)},
    "model and ema that are the same": {"model": STATE, "ema": under("module.")},
    "a detector around it": {"state_dict": {**under("backbone."), "neck.weight": torch.ones(2)}},
    "entries of their own in the top level": {**STATE, "optimizer": {"exp_avg": torch.ones(2)}, "epoch": 3},
}  # fmt: skip


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "nets.py").write_text(CODE)
    return f"{tmp_path / 'nets.py'}:Net"


@pytest.fixture
def save(tmp_path):
    def save(content, name="w.pt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def same(module, state):
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("kind", READ)
def test_what_holds_one_set_of_weights_is_read_and_said(spec, save, kind):
    loaded = load_model(spec, save(READ[kind]))
    assert same(loaded.module, STATE)
    assert bool(loaded.told) == (kind != "a state dict")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("PyTorch's tutorial", "read from 'model_state_dict'"),
        ("Lightning", r"read from 'state_dict\.model'; 2 tensors left out: state_dict\.loss\.weight, "),
        ("AveragedModel", "names without 'module'; 1 tensors left out: n_averaged"),
        ("compiled within", "names without '_orig_mod'"),
    ],
)
def test_what_was_chosen_is_said(spec, save, kind, says):
    assert re.match(says, load_model(spec, save(READ[kind])).told)


@pytest.mark.parametrize(
    ("content", "key", "state"),
    [
        ({"model": STATE, "ema": OTHER}, "ema", OTHER),
        ({"model": STATE, "ema": {"module": OTHER}}, "ema", OTHER),
        ({"state_dict": STATE, "state_dict_ema": OTHER}, "state_dict", STATE),
        ({"state_dict": {**under("student."), **under("teacher.", OTHER)}}, "state_dict.teacher", OTHER),
        ({**under("student."), **under("teacher.", OTHER)}, "student", STATE),
    ],
)
def test_where_several_fit_the_option_that_chooses_is_named_and_works(spec, save, content, key, state):
    path = save(content)
    with pytest.raises(
        UsageError, match=rf"hold 2 sets of weights that fit: .*{key}.*choose one with `weights_key`"
    ):
        load_model(spec, path)
    assert same(load_model(spec, path, weights_key=key).module, state)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"model": under("x.", {"weight": torch.ones(2)})}, r"`weights_key` \(it has model, model\.x\)"),
        ({"state_dict": {**STATE, "head2.weight": torch.ones(2)}}, r"1 unexpected: head2\.weight"),
        (
            {"state_dict": {**STATE, "head.bias": torch.ones(5)}},
            r"1 of another shape: head\.bias \(5, wanted 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_keys_seen(spec, save, content, says):
    with pytest.raises(UsageError, match=says):
        load_model(spec, save(content))


def test_a_key_that_is_not_there(spec, save):
    with pytest.raises(UsageError, match="have no entry 'emma'; give `weights_key` one of: model, ema"):
        load_model(spec, save({"model": STATE, "ema": OTHER}), weights_key="emma")
    with pytest.raises(UsageError, match="there is no weights file; give `weights`, too"):
        load_model(spec, weights_key="ema")


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_weights_in_several_files(spec, tmp_path, ending):
    parts = ({}, {})
    for number, (name, value) in enumerate(STATE.items()):
        parts[number % 2][f"model.{name}"] = value
    names = [f"model-0000{i + 1}-of-00002.{ending}" for i in range(2)]
    for name, part in zip(names, parts):
        (save_file if ending == "safetensors" else torch.save)(part, tmp_path / name)
    index = tmp_path / f"model.{ending}.index.json"
    places = {key: name for name, part in zip(names, parts) for key in part}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for path in (index, tmp_path):
        loaded = load_model(spec, path)
        assert same(loaded.module, STATE)
        assert len(loaded.weights_sha256) == 64
    (tmp_path / names[1]).unlink()
    with pytest.raises(UsageError, match=r"names 'model-00002-of-00002.* which is not next to it"):
        load_model(spec, index)
    index.write_text(json.dumps({"weight_map": {"a": "../w.pt"}}))
    with pytest.raises(UsageError, match="which is no file next to it"):
        load_model(spec, index)
    index.write_text("[]")
    with pytest.raises(UsageError, match="cannot be read as an index"):
        load_model(spec, index)
    index.unlink()
    with pytest.raises(UsageError, match=r"is a folder; name a weights file, or a folder with one"):
        load_model(spec, tmp_path)


@pytest.mark.parametrize("kind", ["half", "bfloat16", "double"])
def test_nets_of_another_precision_are_converted_and_that_is_said(spec, kind):
    loaded = load_model(spec.replace(":Net", f":{kind}"))
    assert {value.dtype for value in loaded.module.parameters()} == {torch.float32}
    name = {"half": "float16", "double": "float64"}.get(kind, kind)
    assert loaded.told == f"converted from {name} to float32"
    assert isinstance(loaded.module.head, nn.Linear)
