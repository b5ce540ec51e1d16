"""A captured graph computes what the model computes, for any batch, and leaves the model as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hudd.capture import RelevanceGraph, capture
from hudd.capture.graph import carries, module_of
from hudd.errors import UsageError


def run(captured: RelevanceGraph, *inputs: Tensor) -> Tensor:
    """The graph's output, by torch.fx's own interpreter."""
    placeholders = [node for node in captured.graph.nodes if node.op == "placeholder"]
    given = dict(zip(captured.inputs, inputs))
    values = [given[node] if node in given else captured.constants[node.name] for node in placeholders]
    with torch.no_grad():
        outputs = torch.fx.Interpreter(nn.Module(), graph=captured.graph).run(*values)
    return outputs[0]


class Branches(nn.Module):
    """A residual block, a concatenation, a module that is called twice, and functional calls."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = self.block(x) + x
        y = self.block(x)
        y += x
        x = torch.cat([functional.max_pool2d(x, 2), functional.avg_pool2d(y, 2)], 1)
        return self.head(x.mean((2, 3)))


class Packed(nn.Module):
    """Takes its inputs as a tuple of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, *inputs: Tensor) -> Tensor:
        return sum(self.linear(x) for x in inputs)  # type: ignore[return-value]


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "branches": (Branches, (3, 8, 8)),
    "linear": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), (7, 4)),
    "1d": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, 2), nn.ELU(), nn.MaxPool1d(2), nn.Flatten()), (2, 12)),
    "3d": (
        lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        (2, 4, 4, 4),
    ),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, 2, groups=2), nn.GELU()), (2, 4, 4)),
    "packed": (Packed, (4,)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_equal_to_the_bit(name: str) -> None:
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = make().eval()
    captured = capture(model, torch.randn(1, *shape))
    for batch in (1, 2, 5):
        images = torch.randn(batch, *shape)
        assert torch.equal(run(captured, images), model(images))


def test_every_call_knows_its_module() -> None:
    captured = capture(Branches(), torch.randn(2, 3, 8, 8))
    calls = [node for node in captured.graph.nodes if node.op == "call_function" and carries(node)]
    modules = {str(node.target).rpartition(".")[0] or str(node.target): module_of(node) for node in calls}
    assert modules["aten.linear"] == "head"
    assert modules["aten.cat"] == ""
    convolutions = [node for node in calls if "conv2d" in str(node.target)]
    assert list(map(module_of, convolutions)) == ["stem", "block.0", "block.0@1"]
    assert captured.modules_of(convolutions[1]) == ("block", "block.0")
    assert captured.modules_of(convolutions[2]) == ("block@1", "block.0@1")


def test_calls_within_calls() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4)])

        def forward(self, x: Tensor) -> Tensor:
            return self.layers[0](self.layers[0](x))

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.inner(x))

    captured = capture(Outer(), torch.randn(2, 4))
    found = [captured.modules_of(node) for node in captured.graph.nodes if node.op == "call_function"]
    assert found == [
        ("inner", "inner.layers", "inner.layers.0"),
        ("inner", "inner.layers", "inner.layers.0@1"),
        ("inner@1", "inner.layers@1", "inner.layers.0@2"),
        ("inner@1", "inner.layers@1", "inner.layers.0@3"),
    ]


def test_the_model_is_left_as_it_was() -> None:
    model = Branches().train()
    model.head.eval()
    flags = {name: module.training for name, module in model.named_modules()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    capture(model, torch.randn(2, 3, 8, 8))
    assert {name: module.training for name, module in model.named_modules()} == flags
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert not any(getattr(module, hook) for module in model.modules() for hook in hooks)


def test_flags_come_back_after_a_failure() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("on purpose")

    model = Broken().train()
    with pytest.raises(UsageError):
        capture(model, torch.randn(2, 3))
    assert model.training


def test_dropout_is_off_even_in_training_mode() -> None:
    model = nn.Sequential(nn.Linear(6, 50), nn.Dropout(0.9)).train()
    images = torch.randn(3, 6)
    captured = capture(model, images)
    assert torch.equal(run(captured, images), model.eval()(images))


def test_an_exported_program_is_a_model_too() -> None:
    model, images = Branches().eval(), torch.randn(2, 3, 8, 8)
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(model, (images,), dynamic_shapes=dynamic).module()
    captured = capture(program, images)
    assert torch.equal(run(captured, images), model(images))
    assert "block.0@1" in {module_of(node) for node in captured.graph.nodes if node.op == "call_function"}


def test_two_inputs() -> None:
    model, (left, right) = nn.Bilinear(3, 4, 2), (torch.randn(5, 3), torch.randn(5, 4))
    captured = capture(model, (left, right))
    assert len(captured.inputs) == 2
    assert torch.equal(run(captured, left, right), model(left, right))
    packed, pair = Packed(), (torch.randn(5, 4), torch.randn(5, 4))
    assert torch.equal(run(capture(packed, pair), *pair), packed(*pair))


class _BranchesOnValues(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class _CallsPython(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.sum())


class _FixedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 6)


@pytest.mark.parametrize(
    "model", [_BranchesOnValues(), _CallsPython(), _FixedBatch(), nn.Linear(5, 2)], ids=repr
)
def test_models_that_cannot_be_captured(model: nn.Module) -> None:
    with pytest.raises(UsageError, match="cannot be captured for an input of shape") as caught:
        capture(model, torch.randn(2, 6))
    message = str(caught.value)
    assert type(model).__name__ in message
    assert "\n" not in message
    assert message.endswith("so that torch.export can trace it.")


def test_no_input() -> None:
    with pytest.raises(UsageError, match="there is no input"):
        capture(Packed(), [])


@pytest.mark.timing
def test_two_threads_capture_one_after_the_other() -> None:
    meeting, met, before = threading.Barrier(2), [], sys.stderr

    class Meeting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with suppress(threading.BrokenBarrierError):
                met.append(meeting.wait(0.5))
            return torch.relu(x)

    captured: list[RelevanceGraph] = []
    threads = [
        threading.Thread(target=lambda: captured.append(capture(Meeting(), torch.randn(2, 3)))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met
    assert len(captured) == 2
    assert sys.stderr is before


def test_autocast_is_not_captured() -> None:
    torch.manual_seed(0)
    model, images = Branches().eval(), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        captured = capture(model, images)
    assert torch.equal(run(captured, images), model(images))
