"""The stream of batches on a stand-in for a GPU: what is waited for and when, and what too little memory does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import hudd
from hudd.errors import HuddError, HuddWarning
from hudd.lrp.streaming import HostTransfer, streamed

aten = torch.ops.aten


class NeverWaiting(TorchDispatchMode):
    """Counts what would wait for a GPU: looking at a number, or a shape that depends on one."""

    _LOOKS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default,
              aten.masked_select.default)  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[str] = []
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        masks = func is aten.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if func in self._LOOKS or masks:
            self.looks.append(str(func))
        return func(*args, **(kwargs or {}))


class Delayed:
    """A device whose results come when they are waited for, into two buffers that take turns."""

    ahead = 1

    def __init__(self, most: int = 1000) -> None:
        self.log: list[str] = []
        self.most, self.freed, self.fetched = most, 0, 0
        self._buffers: list[dict[str, np.ndarray]] = [{}, {}]

    def upload(self, images: Tensor) -> Tensor:
        self.log.append(f"upload {len(images)}")
        if len(images) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return images.clone()

    def fetch(self, results: Mapping[str, Tensor]) -> Fetched:
        number, self.fetched = self.fetched, self.fetched + 1
        self.log.append(f"fetch {number}")
        for array in self._buffers[number % 2].values():
            array.fill(7)  # what was handed out two parts ago is gone
        self._buffers[number % 2] = {name: result.numpy().copy() for name, result in results.items()}
        return Fetched(self, number, self._buffers[number % 2])

    def free(self) -> None:
        self.freed += 1


class Fetched:
    def __init__(self, device: Delayed, number: int, arrays: dict[str, np.ndarray]) -> None:
        self._device, self._number, self._arrays = device, number, arrays

    def wait(self) -> dict[str, np.ndarray]:
        self._device.log.append(f"wait {self._number}")
        return dict(self._arrays)


def _batches(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    firsts = np.cumsum([0, *sizes])
    return [
        (torch.arange(first, first + size).float(), torch.arange(first, first + size))
        for first, size in zip(firsts, sizes)
    ]


def _double(images: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"doubled": 2 * images, "target": target, "half": images.half()}


def _gathered(
    transfer: Any, batches: list[tuple[Tensor, Tensor]]
) -> tuple[list[int], np.ndarray, np.ndarray]:
    counts, doubled, targets = [], [], []
    for count, found in streamed(_double, batches, transfer):
        assert all(len(array) == count for array in found.values())
        counts.append(count)
        doubled.append(found["doubled"].copy())
        targets.append(found["target"].copy())
    return counts, np.concatenate(doubled), np.concatenate(targets)


@pytest.mark.parametrize("transfer", [HostTransfer(), Delayed()], ids=["host", "delayed"])
def test_all_results_come_in_order(transfer: Any) -> None:
    counts, doubled, targets = _gathered(transfer, _batches(4, 4, 3))
    assert counts == [4, 4, 3]
    np.testing.assert_array_equal(doubled, 2 * np.arange(11.0))
    np.testing.assert_array_equal(targets, np.arange(11))
    assert list(streamed(_double, [], transfer)) == []


def test_a_batch_is_begun_before_the_one_before_is_waited_for() -> None:
    device = Delayed()
    _gathered(device, _batches(2, 2, 2))
    assert device.log == [
        "upload 2", "fetch 0", "upload 2", "fetch 1", "wait 0", "upload 2", "fetch 2", "wait 1", "wait 2",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["epsilon", "epsilon-plus", "epsilon-plus-flat"])
def test_nothing_is_looked_at_between_the_first_kernel_and_the_last(
    rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(128, 5),
    ).eval()  # fmt: skip
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    # What a rule took for granted is asked once, when the batch is through.
    asked: list[str] = []
    settle = hudd.lrp.engine.wrongly_guessed
    mode = NeverWaiting()

    def settled(doubts: Any) -> Any:
        asked.append("doubts")
        before = len(mode.looks)
        found = settle(doubts)
        del mode.looks[before:]
        return found

    monkeypatch.setattr("hudd.lrp.engine.wrongly_guessed", settled)
    lrp = hudd.LRP(model, rules=rules, precision="float16")
    images = torch.randn(6, 3, 12, 12)
    lrp.prepare(images[:2])
    expected = lrp.attribute(images, torch.arange(6) % 5).layers

    def explain(images: Tensor, target: Tensor) -> dict[str, Tensor]:
        rows = hudd.lrp.targets.indices(target, (len(images), 5))  # on the CPU, before the first kernel
        with mode:
            return dict(lrp._attribute((images,), lambda output: output * _ones(output, rows)).layers)

    batches = [(images[:3], torch.arange(3) % 5), (images[3:], torch.arange(3, 6) % 5)]
    parts = [
        {name: array.copy() for name, array in found.items()}
        for _, found in streamed(explain, batches, Delayed())
    ]
    assert mode.calls > 50
    assert mode.looks == []
    assert len(asked) >= 3
    for name, whole in expected.items():
        together = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(together, whole.numpy(), rtol=2e-3, atol=1e-5)


def _ones(output: Tensor, rows: Tensor) -> Tensor:
    return hudd.lrp.targets.chosen(output, rows)


def test_the_mode_sees_what_waits() -> None:
    with NeverWaiting() as mode:
        numbers = torch.arange(4.0)
        numbers[numbers > 1]
        float(numbers.sum())
        bool((numbers > 1).any())
    assert len(mode.looks) >= 3


def test_a_batch_too_large_is_halved_and_so_are_those_after_it() -> None:
    device = Delayed(most=3)
    with pytest.warns(HuddWarning) as said:
        counts, doubled, targets = _gathered(device, _batches(10, 4, 1))
    assert counts == [3, 3, 3, 1, 3, 1, 1]
    assert device.freed == 2
    np.testing.assert_array_equal(doubled, 2 * np.arange(15.0))
    np.testing.assert_array_equal(targets, np.arange(15))
    assert [str(warning.message) for warning in said] == [
        "the GPU has too little memory for 10 images at a time; going on with 5.",
        "the GPU has too little memory for 5 images at a time; going on with 3.",
    ]


def test_memory_for_no_image_at_all() -> None:
    with pytest.raises(HuddError, match="too little memory for a single image"):
        list(streamed(_double, _batches(1), Delayed(most=0)))


@pytest.mark.parametrize("transfer", [HostTransfer(), Delayed()], ids=["host", "delayed"])
def test_a_number_too_large_for_float16_is_told_with_its_layer(transfer: Any) -> None:
    def explain(images: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"first": images.half(), "second": (images * 1e6).half(), "third": images}

    with pytest.raises(HuddError, match="relevance at layer 'second' exceeds float16"):
        list(streamed(explain, _batches(3), transfer))
