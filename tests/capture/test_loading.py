import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hudd.capture.loading import load_model
from hudd.capture.weights import read_entries
from hudd.errors import UsageError

CODE = """
from torch import nn

def net():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))

def described():
    return net()

described.transform = abs
described.class_names = ("no", "yes")
described.strip_prefix = "body."

def broken():
    raise RuntimeError("no such device")

def needs(width):
    return net()

def number():
    return 3

class Deep(nn.Module):
    class_names = ["a", "b"]
    def __init__(self):
        super().__init__()
        self.stack = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
    def forward(self, x):
        return self.stack(x)
"""


def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.fixture
def code(tmp_path):
    (tmp_path / "nets.py").write_text(CODE)
    return tmp_path / "nets.py"


@pytest.fixture
def save(tmp_path):
    def save(value, name="w.pth"):
        torch.save(value, tmp_path / name)
        return tmp_path / name

    return save


def same(module, state):
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_a_factory_of_a_file(code):
    loaded = load_model(f"{code}:net")
    assert not loaded.module.training
    assert loaded.module(torch.zeros(1, 4)).shape == (1, 2)
    assert (loaded.transform, loaded.class_names, loaded.weights_sha256) == (None, None, "")


def test_what_the_factory_or_the_module_says(code):
    described, deep = load_model(f"{code}:described"), load_model(f"{code}:Deep")
    assert described.transform is abs
    assert described.class_names == ["no", "yes"]
    assert deep.class_names == ["a", "b"]


def test_a_factory_of_a_package(code, monkeypatch):
    monkeypatch.chdir(code.parent)
    assert isinstance(load_model("nets:net").module, nn.Sequential)
    sys.modules.pop("nets")
    assert str(code.parent) not in sys.path
    assert load_model("hudd.data.cases.digits:model").class_names == [str(digit) for digit in range(10)]


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_weights_of_every_kind(code, save, tmp_path, name):
    state = network().state_dict()
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(state, path)
    else:
        save(state, name)
    loaded = load_model(f"{code}:net", path)
    assert same(loaded.module, state)
    assert len(loaded.weights_sha256) == 64
    assert not loaded.module.training


def test_a_checkpoint_that_holds_a_state_dict(code, save):
    state = network().state_dict()
    path = save({"state_dict": state, "epoch": 3})
    assert same(load_model(f"{code}:net", str(path)).module, state)


def test_a_shared_prefix_is_taken_off(code, save):
    state = network().state_dict()
    path = save({f"module.linear_relu_stack.{name}": value for name, value in state.items()})
    assert same(load_model(f"{code}:net", path).module, state)
    path = save({f"body.{name}": value for name, value in state.items()})
    assert same(load_model(f"{code}:described", path).module, state)
    path = save({f"module.{name}": value for name, value in state.items()})
    with pytest.raises(UsageError, match=r"4 unexpected: module\.0\.weight"):
        load_model(f"{code}:described", path)  # it says that the prefix is another


def test_batch_counters_may_be_missing(code, save):
    state = load_model(f"{code}:Deep").module.state_dict()
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    assert counters
    path = save({name: value for name, value in state.items() if name not in counters})
    load_model(f"{code}:Deep", path)


def test_weights_that_do_not_fit(code, save):
    state = network().state_dict()
    state["2.weight"] = torch.zeros(5, 3)
    del state["0.bias"]
    state |= {f"extra.{n}": torch.zeros(1) for n in range(7)}
    with pytest.raises(UsageError) as error:
        load_model(f"{code}:net", save(state))
    message = str(error.value)
    assert "w.pth' do not fit" in message
    assert "1 missing: 0.bias;" in message
    assert "7 unexpected: extra.0, extra.1, extra.2, extra.3, extra.4, ...;" in message
    assert "1 of another shape: 2.weight (5x3, wanted 2x3)." in message


class Payload:
    """Leaves a trace if it is ever unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


def test_pickled_objects_are_refused_and_never_run(code, save, tmp_path):
    trace = tmp_path / "trace"
    for path in (save(network()), save({"state_dict": Payload(trace)}, "evil.pth")):
        with pytest.raises(UsageError, match=r"more than tensors.*torch\.save\(model\.state_dict\(\)"):
            load_model(f"{code}:net", path)
    raw = tmp_path / "raw.pth"
    raw.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(UsageError, match=r"raw\.pth'"):
        load_model(f"{code}:net", raw)
    assert not trace.exists()


@pytest.mark.parametrize("value", [torch.zeros(3), {"epoch": 3, "lr": 0.1}, [torch.zeros(1)]])
def test_weights_that_are_no_state_dict(save, value):
    with pytest.raises(UsageError, match="no state dict"):
        read_entries(save(value))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_weights(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 100)
    with pytest.raises(UsageError, match=rf"weights '.*{name}'"):
        read_entries(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=rf"weights '.*{name}'"):
        read_entries(tmp_path / name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nets:absent", r"no function 'absent'"),
        ("nets:broken", "'nets:broken' failed: RuntimeError: no such device"),
        ("nets:needs", "'nets:needs' failed: TypeError.*without arguments"),
        ("nets:number", "made an object of type int; it must return a torch.nn.Module"),
        ("no_such_module:net", "no module 'no_such_module' for"),
        ("torch.no_such_module:net", r"no module 'torch\.no_such_module'"),
        ("nowhere/nets.py:net", r"no file 'nowhere/nets\.py'"),
        ("nets", "'nets' is no model"),
        ("nets:", "is no factory"),
        ("program.pt2", r"no program 'program\.pt2'"),
    ],
)
def test_wrong_specs(code, monkeypatch, spec, message):
    monkeypatch.chdir(code.parent)
    with pytest.raises(UsageError, match=message):
        load_model(spec)


def test_a_module_whose_own_import_fails(tmp_path):
    (tmp_path / "bad.py").write_text("import surely_not_installed")
    with pytest.raises(
        UsageError, match=r"importing '.*bad\.py' failed: ModuleNotFoundError: .*surely_not_installed"
    ):
        load_model(f"{tmp_path / 'bad.py'}:net")
    (tmp_path / "bad.py").write_text("def net(:")
    with pytest.raises(UsageError, match="SyntaxError"):
        load_model(f"{tmp_path / 'bad.py'}:net")


def test_missing_weights_are_found_out_before_the_model_is_built(tmp_path):
    with pytest.raises(UsageError, match=r"no weights file '.*none\.pth'"):
        load_model("no_such_module:net", tmp_path / "none.pth")


def test_a_file_imports_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_nets.py").write_text("WIDTH = 7")
    (tmp_path / "uses.py").write_text(
        "from torch import nn\nfrom neighbour_of_nets import WIDTH\ndef net():\n    return nn.Linear(WIDTH, 1)\n"
    )
    assert load_model(f"{tmp_path / 'uses.py'}:net").module.in_features == 7


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_exported_program(tmp_path, save):
    net = network().eval()
    example = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = load_model(str(tmp_path / "net.pt2"))
    torch.testing.assert_close(loaded.module(example), net(example))
    assert len(loaded.weights_sha256) == 64
    with pytest.raises(UsageError, match="carries its weights"):
        load_model(str(tmp_path / "net.pt2"), save(net.state_dict()))
    (tmp_path / "bad.pt2").write_text("nothing")
    with pytest.raises(UsageError, match=r"bad\.pt2' cannot be read as an exported program"):
        load_model(str(tmp_path / "bad.pt2"))


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_pickled_weights_run_nothing_unless_trusted(tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "weights.pth"
    torch.save({"state_dict": nn.Linear(3, 2).state_dict(), "by": Touch(mark)}, path)
    with pytest.raises(
        UsageError, match=r"can run code of whoever made the file; .* or give `trust_pickle=True`"
    ):
        read_entries(path)
    assert not mark.exists()
    assert {e.name for e in read_entries(path, trust_pickle=True)} == {"weight", "bias"}
    assert mark.exists()


def test_a_pickled_module_has_its_weights_taken_once_trusted(tmp_path):
    torch.save(nn.Linear(3, 2), tmp_path / "whole.pth")
    with pytest.raises(UsageError, match="`trust_pickle=True`"):
        read_entries(tmp_path / "whole.pth")
    assert {e.name for e in read_entries(tmp_path / "whole.pth", trust_pickle=True)} == {"weight", "bias"}


def test_a_program_is_read_without_unpickling_more_than_tensors(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("torch.export.load", lambda path: seen.append(os.environ[FORCED]) or nn.Linear(1, 1))
    monkeypatch.delenv(FORCED, raising=False)
    (tmp_path / "m.pt2").touch()
    with pytest.raises(UsageError):
        load_model(str(tmp_path / "m.pt2"))
    assert seen == ["1"]
    assert FORCED not in os.environ


FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
