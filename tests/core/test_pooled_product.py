"""Relevance summed over space or over channels against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hudd import _core

SHAPES = [
    (3, 7), (2, 3, 4), (2, 3, 5, 7), (1, 1, 1, 1), (2, 4, 1, 9), (2, 2, 3, 3, 5), (2, 3, 83, 101),
    (1, 2, _core.CHUNK + 5), (0, 3, 2), (2, 3, 0), (2, 0, 5), (2, 300, 2), (2, 3, 257),
]  # fmt: skip


def _reference(relevance: np.ndarray, over: str, channel_axis: int) -> np.ndarray:
    exact = relevance.astype(np.float64)
    if over == "channels":
        return exact.sum(channel_axis)
    return exact.sum(tuple(axis for axis in range(1, exact.ndim) if axis != channel_axis))


def _check(kernels: Any, message: Tensor, factor: Tensor | None, over: str, channel_axis: int) -> None:
    relevance = message.numpy() if factor is None else message.numpy() * factor.numpy()
    ours = kernels.pooled_product(message, factor, over=over, channel_axis=channel_axis).numpy()
    reference = _reference(relevance, over, channel_axis)
    assert ours.shape == reference.shape
    # Summed in float64 and rounded once.
    room = np.spacing(np.abs(reference).astype(np.float32)) / 2 + 1e-14 * _reference(
        np.abs(relevance), over, channel_axis
    )
    assert np.all(np.abs(ours - reference) <= room)


@pytest.mark.parametrize("over", ["space", "channels"])
@pytest.mark.parametrize("with_factor", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums(kernels: Any, shape: tuple[int, ...], with_factor: bool, over: str) -> None:
    generator = torch.Generator().manual_seed(0)
    message, factor = (torch.randn(shape, generator=generator) for _ in range(2))
    for channel_axis in range(1, len(shape)):
        _check(kernels, message, factor if with_factor else None, over, channel_axis)


@pytest.mark.parametrize("over", ["space", "channels"])
def test_layouts(kernels: Any, layout: Callable[[Tensor], Tensor], over: str) -> None:
    generator = torch.Generator().manual_seed(0)
    message, factor = (torch.randn((2, 3, 5, 7), generator=generator) for _ in range(2))
    _check(kernels, layout(message), factor, over, 1)
    _check(kernels, layout(message), layout(factor), over, 1)
    _check(kernels, message, layout(factor), over, 2)


def test_the_two_poolings_have_one_total(kernels: Any) -> None:
    message = torch.randn((3, 4, 6, 5), generator=torch.Generator().manual_seed(1))
    channels = kernels.pooled_product(message, None, over="space")
    maps = kernels.pooled_product(message, None, over="channels")
    torch.testing.assert_close(channels.sum(1), maps.sum((1, 2)))


@pytest.mark.parametrize("over", ["space", "channels"])
def test_special_values(kernels: Any, over: str) -> None:
    message = torch.tensor([[[0.0, 1e-45], [1e30, 1e30], [float("inf"), 1.0], [float("nan"), 1.0]]])
    ours = kernels.pooled_product(message, None, over=over)
    axis = 2 if over == "space" else 1
    torch.testing.assert_close(ours, message.double().sum(axis).float(), equal_nan=True)
