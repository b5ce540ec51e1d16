"""The gradient of a 3x3 convolution by minimal filtering against the direct sum in double."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from hudd import _core
from hudd.lrp.contraction import Convolution
from hudd.lrp.winograd import Winograd

EPS = torch.finfo(torch.float32).eps


def _reference(s: Tensor, weight: Tensor, shape: tuple[int, ...], padding: tuple[int, int]) -> np.ndarray:
    """Every output sends to the 3x3 inputs under it; in double."""
    messages, kernel = s.double().numpy(), weight.double().numpy()
    (above, left), (height, width) = padding, shape[2:]
    padded = np.zeros((*shape[:2], height + 2 * above, width + 2 * left))
    for i in range(3):
        for j in range(3):
            sent = np.einsum("nkyx,kc->ncyx", messages, kernel[:, :, i, j])
            padded[:, :, i : i + messages.shape[2], j : j + messages.shape[3]] += sent
    return padded[:, :, above : above + height, left : left + width]


def _operands(
    samples: int, outputs: int, inputs: int, size: tuple[int, int], padding: tuple[int, int], seed: int = 0
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
    extents = [extent + 2 * pad - 2 for extent, pad in zip(size, padding)]
    return (
        torch.randn(samples, outputs, *extents, generator=generator),
        weight,
        (samples, inputs, *size),
    )


def _assert_as_exact_as_the_direct_sum(
    ours: Tensor, s: Tensor, weight: Tensor, shape: tuple[int, ...], padding: tuple[int, int]
) -> None:
    exact = torch.from_numpy(_reference(s, weight, shape, padding))
    direct = functional.conv_transpose2d(s, weight, padding=padding)
    scale = exact.abs().max()
    error = (ours.double() - exact).abs().max() / scale
    # Few channels leave hardly a rounding error to compare with; so many roundings each transform has at least.
    assert error <= 2 * (direct.double() - exact).abs().max() / scale + 8 * EPS


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_gradient_is_that_of_the_direct_sum(data: st.DataObject) -> None:
    def pair(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))

    padding, size = pair(0, 2), pair(3, 24)
    samples, (outputs, inputs) = data.draw(st.integers(0, 3)), pair(1, 70)
    s, weight, shape = _operands(samples, outputs, inputs, size, padding, data.draw(st.integers(0, 1000)))
    ours = Winograd(weight, padding).adjoint(s, shape)
    assert ours.shape == shape
    if samples:
        _assert_as_exact_as_the_direct_sum(ours, s, weight, shape, padding)


@pytest.mark.parametrize(("outputs", "inputs"), [(16, 32), (65, 33), (48, 130), (256, 200), (512, 64)])
def test_many_channels(outputs: int, inputs: int) -> None:
    s, weight, shape = _operands(2, outputs, inputs, (29, 14), (1, 1))
    ours = Winograd(weight, (1, 1)).adjoint(s, shape)
    _assert_as_exact_as_the_direct_sum(ours, s, weight, shape, (1, 1))


def test_layouts_do_not_matter(layout: Callable[[Tensor], Tensor]) -> None:
    s, weight, shape = _operands(2, 20, 40, (9, 8), (1, 0))
    gradient = Winograd(weight, (1, 0))
    assert torch.equal(gradient.adjoint(layout(s), shape), gradient.adjoint(s, shape))
    assert torch.equal(Winograd(layout(weight), (1, 0)).adjoint(s, shape), gradient.adjoint(s, shape))
    assert gradient.adjoint(s, shape).is_contiguous(memory_format=torch.channels_last)


def test_neither_batch_nor_threads_make_a_difference(thread_counts: list[int]) -> None:
    s, weight, shape = _operands(7, 24, 36, (23, 17), (1, 1))
    gradient = Winograd(weight, (1, 1))
    whole = gradient.adjoint(s, shape)
    for threads in thread_counts:
        torch.set_num_threads(threads)
        for size in (1, 3, 7):
            parts = [gradient.adjoint(part, (len(part), *shape[1:])) for part in s.split(size)]
            assert torch.equal(torch.cat(parts), whole)


def test_instruction_sets_agree(instruction_sets: list[str]) -> None:
    s, weight, shape = _operands(2, 40, 70, (13, 10), (1, 1))
    for name in instruction_sets:
        _core.select_instruction_set(name)
        ours = Winograd(weight, (1, 1)).adjoint(s, shape)
        _assert_as_exact_as_the_direct_sum(ours, s, weight, shape, (1, 1))


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-42])
def test_large_small_and_denormal_numbers(size: float) -> None:
    s, weight, shape = _operands(1, 20, 40, (8, 8), (1, 1))
    ours = Winograd(weight, (1, 1)).adjoint(s * size, shape)
    exact = torch.from_numpy(_reference(s * size, weight, shape, (1, 1)))
    error = (ours.double() - exact).abs().max()
    # A denormal has no more digits than its distance to the next one.
    assert error <= 1e-5 * exact.abs().max() + 200 * torch.finfo(torch.float32).smallest_normal * EPS


def test_zeros_give_zeros() -> None:
    s, weight, shape = _operands(2, 20, 40, (8, 8), (1, 1))
    s[1] = 0
    ours = Winograd(weight, (1, 1)).adjoint(s, shape)
    assert ours[0].all()
    assert not ours[1].any()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_seen_and_stays_near(number: float) -> None:
    s, weight, shape = _operands(2, 20, 40, (12, 12), (1, 1))
    clean = Winograd(weight, (1, 1)).adjoint(s, shape)
    s[0, 3, 6, 6] = number
    ours = Winograd(weight, (1, 1)).adjoint(s, shape)
    assert not ours[0, :, 5:8, 5:8].isfinite().any()
    far = torch.ones(12, 12, dtype=torch.bool)
    far[4:9, 4:9] = False
    assert torch.equal(ours[0][:, far], clean[0][:, far])
    assert torch.equal(ours[1], clean[1])


@pytest.mark.parametrize(
    ("weight", "stride", "padding", "chosen"),
    [
        (torch.ones(16, 32, 3, 3), [1, 1], [1, 1], True),
        (torch.ones(16, 32, 3, 3), [1, 2], [1, 1], False),
        (torch.ones(16, 32, 3, 3), [1, 1], [1, 3], False),
        (torch.ones(16, 32, 3, 1), [1, 1], [1, 1], False),
        (torch.ones(15, 32, 3, 3), [1, 1], [1, 1], False),
        (torch.ones(16, 31, 3, 3), [1, 1], [1, 1], False),
        (torch.ones(16, 32, 3, 3).double(), [1, 1], [1, 1], False),
    ],
)
def test_a_convolution_takes_it_where_it_fits(
    weight: Tensor, stride: list[int], padding: list[int], chosen: bool
) -> None:
    geometry = {
        "stride": stride, "padding": padding, "dilation": [1, 1], "transposed": False, "output_padding": [0, 0],
        "groups": 1, "extra_padding": [],
    }  # fmt: skip
    convolution = Convolution(weight, None, geometry)
    assert isinstance(convolution._shortcut, Winograd) is chosen
    dilated = Convolution(weight, None, geometry | {"dilation": [2, 1]})
    assert dilated._shortcut is None
