"""Relevance stored as float16 and bfloat16: round to nearest even, as NumPy and torch do it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hudd import _core
from hudd.lrp import kernels as on_cpu


def _halves(kernels: Any, values: np.ndarray) -> np.ndarray:
    """`values` as float16 bits by the core, in whole rows of one sample."""
    stored, _ = kernels.product(torch.from_numpy(values).reshape(1, -1), None, dtype=torch.float16)
    return stored.numpy().view(np.uint16).reshape(-1)


def _assert_halves(kernels: Any, values: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        reference = values.astype(np.float16)
    ours, nan = _halves(kernels, values), np.isnan(reference)
    np.testing.assert_array_equal(ours[~nan], reference.view(np.uint16)[~nan])
    assert np.isnan(ours.view(np.float16)[nan]).all()


def _neighbours(values: np.ndarray) -> np.ndarray:
    """The float32 values, and the float32 numbers just below and just above them."""
    infinity = np.float32(np.inf)
    return np.concatenate([values, np.nextafter(values, -infinity), np.nextafter(values, infinity)])


def _every_float16() -> np.ndarray:
    """Every float16 number, what lies halfway between two, and the float32 numbers beside all of these."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(every[np.isfinite(every)])
    with np.errstate(over="ignore"):
        halfway = (finite[:-1] + finite[1:]) / 2
    around = _neighbours(
        np.concatenate([finite, halfway, np.float32([65519.996, 65520, -65520, 70000, 3.4e38])])
    )
    return np.concatenate([every, around])


def test_every_float16_and_what_lies_around_it(kernels: Any) -> None:
    _assert_halves(kernels, _every_float16())


def test_every_float16_with_every_instruction_set(instruction_sets: list[str]) -> None:
    for name in instruction_sets:
        _core.select_instruction_set(name)
        _assert_halves(on_cpu, _every_float16())


def test_random_bits_as_float16(kernels: Any) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 1_000_000, dtype=np.uint32)
    _assert_halves(kernels, bits.view(np.float32))


def test_random_bits_as_bfloat16(kernels: Any) -> None:
    values = np.random.default_rng(1).integers(0, 2**32, 1_000_000, dtype=np.uint32).view(np.float32)
    tensor = torch.from_numpy(values).reshape(1, -1)
    ours, _ = kernels.product(tensor, None, dtype=torch.bfloat16)
    reference = tensor.bfloat16()
    nan = reference.isnan()
    assert torch.equal(ours.isnan(), nan)
    assert torch.equal(ours[~nan].view(torch.int16), reference[~nan].view(torch.int16))


def test_bfloat16_ties_go_to_even(kernels: Any) -> None:
    upper = np.arange(2**16, dtype=np.uint32) << 16
    values = (
        np.concatenate([upper + 0x7FFF, upper + 0x8000, upper + 0x8001]).astype(np.uint32).view(np.float32)
    )
    values = values[np.isfinite(values)]
    ours, _ = kernels.product(torch.from_numpy(values).reshape(1, -1), None, dtype=torch.bfloat16)
    bits = values.view(np.uint32).astype(np.uint64)
    quotient, remainder = bits >> 16, bits & 0xFFFF
    rounded = quotient + ((remainder > 0x8000) | ((remainder == 0x8000) & (quotient & 1 == 1)))
    np.testing.assert_array_equal(ours.view(torch.int16).numpy().view(np.uint16).reshape(-1), rounded)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 41, 143), (0, 2)], ids=str)
def test_products_are_rounded_once_and_totals_not_at_all(
    kernels: Any, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    message, factor = (torch.randn(shape, generator=generator) for _ in range(2))
    stored, total = kernels.product(message, factor, dtype=dtype, total=True)
    assert torch.equal(stored, (message * factor).to(dtype))
    assert total is not None
    torch.testing.assert_close(total, (message * factor).double().flatten(1).sum(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels", [2, 3, 16, 17, 96, 300])
def test_channels_last_relevance_is_written_row_major(
    kernels: Any, channels: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    message, factor = (torch.randn((2, channels, 31, 67), generator=generator) for _ in range(2))
    for other in (factor, None):
        relevance = message if other is None else message * factor
        stored, total = kernels.product(
            message.to(memory_format=torch.channels_last), other, dtype=dtype, total=True
        )
        assert stored.is_contiguous()
        assert torch.equal(stored, relevance.to(dtype))
        assert total is not None
        torch.testing.assert_close(total, relevance.double().flatten(1).sum(1))
