"""Max pooling's routing: torch's autograd where overlaps add, a plain loop where the last window wins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def _pool(inputs: Tensor, window: Sequence[int], stride: Sequence[int], padding: Sequence[int],
          dilation: Sequence[int], ceil_mode: bool) -> Tensor:  # fmt: skip
    pool = _POOLS[inputs.ndim - 2]
    return pool(inputs, list(window), list(stride), list(padding), list(dilation), ceil_mode)


def _by_autograd(inputs: Tensor, message: Tensor, **geometry: Sequence[int]) -> Tensor:
    leaf = inputs.clone().requires_grad_()
    ceil_mode = _pool(inputs, **geometry, ceil_mode=False).shape != message.shape
    return torch.autograd.grad(_pool(leaf, **geometry, ceil_mode=ceil_mode), leaf, message)[0]


def _by_loop(inputs: np.ndarray, message: np.ndarray, *, window: Sequence[int], stride: Sequence[int],
             padding: Sequence[int], dilation: Sequence[int], last_wins: bool) -> np.ndarray:  # fmt: skip
    """Windows in row-major order; within one the first greatest element wins."""
    out = np.zeros_like(inputs)
    for sample, channel in np.ndindex(*inputs.shape[:2]):
        plane, sent = inputs[sample, channel], out[sample, channel]
        for position in np.ndindex(*message.shape[2:]):
            axes = [
                [p * s - q + k * d for k in range(w) if 0 <= p * s - q + k * d < size]
                for p, w, s, q, d, size in zip(position, window, stride, padding, dilation, plane.shape)
            ]
            places = list(itertools.product(*axes))
            best = max(places, key=lambda place: plane[place], default=None)  # the first of equals
            if best is not None:
                value = message[(sample, channel, *position)]
                sent[best] = value if last_wins else sent[best] + value
    return out


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, dict[str, list[int]]]:
    axes = draw(st.integers(1, 3))
    each = st.tuples(
        st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2), st.integers(2, 6)
    )
    window, stride, padding, dilation, size = (
        list(numbers) for numbers in zip(*(draw(each) for _ in range(axes)))
    )
    assume(all(2 * p <= w for p, w in zip(padding, window)))
    assume(all(s + 2 * p > d * (w - 1) for s, p, d, w in zip(size, padding, dilation, window)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *size)
    if draw(st.booleans()):  # many ties
        inputs = torch.randint(-1, 2, shape, generator=generator).float()
    else:
        inputs = torch.randn(shape, generator=generator)
    geometry = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
    pooled = _pool(inputs, **geometry, ceil_mode=draw(st.booleans()))
    return inputs, torch.randn(pooled.shape, generator=generator), geometry


@settings(deadline=None, max_examples=200)
@given(_cases())
def test_overlapping_windows_add(kernels: Any, case: tuple[Tensor, Tensor, dict[str, list[int]]]) -> None:
    inputs, message, geometry = case
    ours = kernels.max_pool(inputs, message, **geometry)
    torch.testing.assert_close(ours, _by_autograd(inputs, message, **geometry))
    loop = _by_loop(inputs.numpy(), message.numpy(), **geometry, last_wins=False)
    np.testing.assert_array_equal(ours.numpy(), loop)


@settings(deadline=None, max_examples=200)
@given(_cases())
def test_last_window_wins(kernels: Any, case: tuple[Tensor, Tensor, dict[str, list[int]]]) -> None:
    inputs, message, geometry = case
    ours = kernels.max_pool(inputs, message, last_wins=True, **geometry)
    np.testing.assert_array_equal(
        ours.numpy(), _by_loop(inputs.numpy(), message.numpy(), **geometry, last_wins=True)
    )


@pytest.mark.parametrize("last_wins", [False, True])
@pytest.mark.parametrize("channels", [2, 3, 16, 64, 65, 130])
def test_channels_side_by_side(kernels: Any, channels: int, last_wins: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(-2, 3, (2, channels, 9, 11), generator=generator).float()
    geometry = {"window": [3, 2], "stride": [2, 1], "padding": [1, 0], "dilation": [1, 2]}
    pooled = _pool(inputs, **geometry, ceil_mode=False)
    message = torch.randn(pooled.shape, generator=generator)

    def moved() -> Tensor:
        operands = (tensor.to(memory_format=torch.channels_last) for tensor in (inputs, message))
        return kernels.max_pool(*operands, last_wins=last_wins, **geometry)

    assert moved().is_contiguous(memory_format=torch.channels_last)
    loop = _by_loop(inputs.numpy(), message.numpy(), **geometry, last_wins=last_wins)
    np.testing.assert_array_equal(moved().numpy(), loop)
    inputs[0, 1, 3, 2:5] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    assert torch.equal(moved(), kernels.max_pool(inputs, message, last_wins=last_wins, **geometry))


@pytest.mark.parametrize("last_wins", [False, True])
def test_ties_go_to_the_first_in_row_major_order(kernels: Any, last_wins: bool) -> None:
    inputs, message = torch.ones(1, 1, 3, 3), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    geometry = {"window": [2, 2], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    ours = kernels.max_pool(inputs, message, last_wins=last_wins, **geometry)
    assert torch.equal(ours[0, 0, :2, :2], message[0, 0])
    assert ours.sum() == message.sum()


def test_a_not_a_number_takes_its_window(kernels: Any) -> None:
    inputs = torch.tensor([[[1.0, float("nan"), 5.0, 2.0, 7.0, float("-inf")]]])
    message = torch.tensor([[[1.0, 2.0, 4.0]]])
    geometry = {"window": [2], "stride": [2], "padding": [0], "dilation": [1]}
    ours = kernels.max_pool(inputs, message, **geometry)
    assert torch.equal(ours, torch.tensor([[[0.0, 1.0, 2.0, 0.0, 4.0, 0.0]]]))
    torch.testing.assert_close(ours, _by_autograd(inputs, message, **geometry))


def test_windows_of_minus_infinity(kernels: Any) -> None:
    inputs, message = torch.full((1, 1, 4), float("-inf")), torch.tensor([[[1.0, 2.0]]])
    geometry = {"window": [2], "stride": [2], "padding": [0], "dilation": [1]}
    assert torch.equal(kernels.max_pool(inputs, message, **geometry), torch.tensor([[[1.0, 0.0, 2.0, 0.0]]]))


@pytest.mark.parametrize("last_wins", [False, True])
def test_layouts_do_not_matter(kernels: Any, last_wins: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((2, 3, 8, 9), generator=generator)
    message = torch.randn((2, 3, 4, 4), generator=generator)
    geometry = {
        "window": [3, 3],
        "stride": [2, 2],
        "padding": [1, 0],
        "dilation": [1, 1],
        "last_wins": last_wins,
    }
    plain = kernels.max_pool(inputs, message, **geometry)
    moved = inputs.to(memory_format=torch.channels_last), message.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(kernels.max_pool(*moved, **geometry), plain)


def test_an_empty_batch(kernels: Any) -> None:
    geometry = {"window": [2], "stride": [2], "padding": [0], "dilation": [1]}
    assert kernels.max_pool(torch.empty(0, 3, 4), torch.empty(0, 3, 2), **geometry).shape == (0, 3, 4)
