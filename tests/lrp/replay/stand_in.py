"""What takes the place of CUDA's recorder where there is no GPU.

As a CUDA graph does, it runs the same pass over the same memory, into which inputs and targets are copied.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import hudd
from hudd.lrp.replay import CudaRecorder, Explain, Explained, Inputs, copied
from hudd.lrp.run import selected

aten = torch.ops.aten
RULES = [
    "epsilon",
    "epsilon-plus",
    "epsilon-gamma-box",
    "epsilon-alpha2-beta1-flat",
    "attnlrp",
    "z-box(-2, 2)",
]
TARGETS: list[Any] = [None, 2, [0, 1, 2, 3], torch.tensor([4, 3, 2, 1]), (1,), [(3,), (0,), (1,), (1,)]]


class Residual(nn.Module):
    """A residual net in which relevance meets outputs without positive contributions, attention, and a late pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.branch(x)).flatten(2).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1))


class Looking(TorchDispatchMode):
    """Within, no number of a tensor may be looked at, nor may a shape depend on one."""

    _LOOKS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default,
              aten.masked_select.default, aten._unique2.default, aten.unique_dim.default)  # fmt: skip

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flags = [index for index in args[1] if index is not None] if func is aten.index.Tensor else []
        assert func not in self._LOOKS, f"{func} looks at a number"
        assert all(index.dtype != torch.bool for index in flags), "a mask makes a shape depend on numbers"
        return func(*args, **(kwargs or {}))


class StandIn:
    """A recording that runs the pass once more."""

    def __init__(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> None:
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        self._rows = None if rows is None else rows.clone()
        self._explain = explain
        self.replays = 0

    def replay(self, inputs: Inputs, rows: Tensor | None) -> Explained:
        for static, tensor in zip(self._inputs, inputs):
            static.copy_(tensor)
        if self._rows is not None:
            assert rows is not None
            self._rows.copy_(rows)
        with Looking():
            relevance, doubts = self._explain(self._inputs, functools.partial(selected, self._rows))
        self.replays += 1
        return copied(relevance), doubts


class StandInRecorder(CudaRecorder):
    """Counts what it records."""

    def __init__(self) -> None:
        self.made: list[StandIn] = []

    def check(self, inputs: Inputs) -> None:
        pass

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> StandIn:
        self.made.append(StandIn(explain, inputs, rows))
        return self.made[-1]

    @property
    def replays(self) -> list[int]:
        return [recording.replays for recording in self.made]


def _tensors(relevance: hudd.Relevance) -> dict[str, Tensor]:
    found = {f"layer {name}": heatmap for name, heatmap in relevance.layers.items()}
    found |= {f"conservation {name}": leak for name, leak in relevance.conservation.items()}
    for kind in ("outputs", "inputs"):
        found |= {f"{kind} {i}": tensor for i, tensor in enumerate(getattr(relevance, kind))}
    return {**found, "explained": relevance.explained}


def assert_equal(ours: hudd.Relevance, theirs: hudd.Relevance) -> None:
    left, right = _tensors(ours), _tensors(theirs)
    assert list(left) == list(right)
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def looked_at(lrp: hudd.LRP, batch: Tensor, target: Any = None) -> hudd.Relevance:
    """By rules that look before they go on, as on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hudd.lrp.run._halts", lambda tensor: False)
        return lrp.attribute(batch, target)
