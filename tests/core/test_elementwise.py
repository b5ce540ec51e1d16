"""Quotient, product, totals, split by sign and box against the formulas in NumPy.

The float32 formulas are evaluated in the documented order, so the bits must agree; a float64 evaluation says how far
float32 itself is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from hudd import _core
from hudd.lrp import kernels as on_cpu

Array = np.ndarray
Layout = Callable[[Tensor], Tensor]

SHAPES = [
    (5,), (3, 7), (1, 1), (2, 3, 4), (0, 3), (3, 0, 2), (2, 3, 5, 7), (1, 3, 1, 9), (4, 1, 6, 1), (2, 2, 3, 3, 5),
    (3, _core.CHUNK - 1), (2, _core.CHUNK), (2, _core.CHUNK + 17), (2, 3, 83, 101),
]  # fmt: skip
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-39, 1.2e-38, 1e-30, -1e-30, 1e30, -1e30, 3.4e38, np.inf, -np.inf, np.nan],
    np.float32,
)  # fmt: skip
STABILIZERS = ["none", "sign", "positive"]


def _normal(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _quotient(
    message: Array, factor: Array | None, z: Array, gate: Array | None, *,
    scale: float, epsilon: float, stabilizer: str, passes: str,
) -> Array:  # fmt: skip
    kind = message.dtype.type
    numerator = np.ones_like(z) if factor is None else factor
    with np.errstate(all="ignore"):
        sign = np.where(z < 0, kind(-1), kind(1)) if stabilizer == "sign" else np.ones_like(z)
        denominator = z if stabilizer == "none" else z + kind(epsilon) * sign
        ratio = np.where(denominator == 0, kind(0), numerator / denominator)
        value = message * (kind(scale) * ratio)
    if passes == "open" or gate is None:
        return value
    return np.where(gate > 0 if passes == "positive" else gate < 0, value, kind(0))


def _tensors(*arrays: Array | None) -> list[Tensor | None]:
    return [None if array is None else torch.from_numpy(array) for array in arrays]


def _same_bits(ours: Tensor, reference: Array) -> None:
    """Equal to the bit but for what a NaN carries."""
    assert tuple(ours.shape) == reference.shape
    mine, theirs = ours.contiguous().numpy(), np.ascontiguousarray(reference)
    assert mine.dtype == theirs.dtype
    nan = np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(mine), nan)
    unsigned = f"u{theirs.itemsize}"
    np.testing.assert_array_equal(mine[~nan].view(unsigned), theirs[~nan].view(unsigned))


def _split(inputs: Array, axis: int) -> Array:
    """Positive and negative part; NaN belongs to both."""
    return np.concatenate([np.where(inputs < 0, 0, inputs), np.where(inputs > 0, 0, inputs)], axis).astype(
        np.float32
    )


@pytest.mark.parametrize("stabilizer", STABILIZERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_quotient_of_every_shape(kernels: Any, shape: tuple[int, ...], stabilizer: str) -> None:
    message, factor, z = (_normal(shape, seed) for seed in range(3))
    options = {"scale": -1.5, "epsilon": 1e-6, "stabilizer": stabilizer}
    ours = kernels.quotient(*_tensors(message, factor, z), **options)
    _same_bits(ours, _quotient(message, factor, z, None, passes="open", **options))
    exact = _quotient(
        *(array.astype(np.float64) for array in (message, factor, z)), None, passes="open", **options
    )
    # Three roundings of half a unit in the last place, and one of z + eps that eps may see magnified where z is small.
    slack = 4 * np.finfo(np.float32).eps * (1 + 2e-6 / np.maximum(np.abs(z.astype(np.float64)), 1e-6))
    assert np.all(np.abs(ours.numpy() - exact) <= slack * np.abs(exact))


@pytest.mark.parametrize("with_factor", [True, False])
@pytest.mark.parametrize("passes", ["open", "positive", "negative"])
@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_quotient_of_special_values(kernels: Any, stabilizer: str, passes: str, with_factor: bool) -> None:
    grid = np.stack(np.meshgrid(*[SPECIAL] * 4, indexing="ij")).reshape(4, -1, 8)
    message, factor, z, gate = (np.ascontiguousarray(axis) for axis in grid)
    options = {"scale": 1.0, "epsilon": 1e-9, "stabilizer": stabilizer, "passes": passes}
    given_factor, given_gate = factor if with_factor else None, gate if passes != "open" else None
    ours = kernels.quotient(*_tensors(message, given_factor, z), gate=_tensors(given_gate)[0], **options)
    _same_bits(ours, _quotient(message, given_factor, z, given_gate, **options))


@pytest.mark.parametrize(
    ("stabilizer", "epsilon", "z"),
    [("none", 0, 0), ("sign", 0, 0), ("positive", 0, 0), ("positive", 0.5, -0.5)],
)
def test_a_denominator_of_zero_passes_nothing(
    kernels: Any, stabilizer: str, epsilon: float, z: float
) -> None:
    zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    for factor in (one, zero, None):
        ours = kernels.quotient(one, factor, z * one, epsilon=epsilon, stabilizer=stabilizer)
        assert torch.equal(ours, zero)


def test_quotient_of_underflowing_relevance_keeps_its_size(kernels: Any) -> None:
    # R = 1e-30 * 1e-30 is zero in float32, but R / z = 1e-30 is not.
    tiny = torch.full((1, 4), 1e-30)
    ours = kernels.quotient(tiny, tiny, tiny, epsilon=0.0, stabilizer="none")
    torch.testing.assert_close(ours, tiny)


@pytest.mark.parametrize("shape", [(3, 7), (4, 5, 6), (2, 3, 5, 7), (1, 3, 1, 9), (2, 2, 3, 3, 5)], ids=str)
def test_layouts_do_not_matter(kernels: Any, layout: Layout, shape: tuple[int, ...]) -> None:
    arrays = [_normal(shape, seed) for seed in range(6)]
    first, *others = _tensors(*arrays)
    stored = layout(first)
    options = {"scale": 2.0, "epsilon": 1e-3, "stabilizer": "sign", "passes": "positive"}
    reference = _quotient(*arrays[:4], **options)
    stored_others = [layout(other) for other in others]
    for message, operands in ((stored, others), (first, stored_others), (stored, stored_others)):
        ours = kernels.quotient(message, operands[0], operands[1], gate=operands[2], **options)
        _same_bits(ours, reference)
        relevance, total = kernels.product(message, operands[0], total=True)
        _same_bits(relevance, arrays[0] * arrays[1])
        exact = (arrays[0] * arrays[1]).astype(np.float64).reshape(shape[0], -1).sum(1)
        np.testing.assert_allclose(total.numpy(), exact, rtol=1e-12, atol=1e-12)
        for axis in range(1, len(shape)):
            parts = layout(torch.cat([first, others[0]], axis))
            _same_bits(kernels.by_sign(message, parts, axis), np.where(arrays[0] > 0, arrays[0], arrays[1]))
            _same_bits(kernels.split(message, axis), _split(arrays[0], axis))
        with_box = arrays[0] * arrays[1] - arrays[4] * arrays[2] - arrays[5] * arrays[3]
        _same_bits(kernels.box(message, *operands), with_box)


def test_operands_broadcast(kernels: Any) -> None:
    message, z = _normal((3, 4, 5, 6), 0), _normal((1, 4, 1, 1), 1)
    expanded = torch.from_numpy(z).expand(3, 4, 5, 6)
    ours = kernels.quotient(torch.from_numpy(message), expanded, expanded, epsilon=1e-6)
    wide = np.broadcast_to(z, message.shape)
    _same_bits(
        ours, _quotient(message, wide, wide, None, scale=1.0, epsilon=1e-6, stabilizer="sign", passes="open")
    )
    shared = torch.from_numpy(message[:1, :1]).expand(3, 4, 5, 6)
    _same_bits(kernels.product(shared, None)[0], np.broadcast_to(message[:1, :1], (3, 4, 5, 6)))


def test_quotient_in_place(kernels: Any, layout: Layout) -> None:
    arrays = [_normal((2, 3, 5, 7), seed) for seed in range(3)]
    message, factor, z = _tensors(*arrays)
    stored = layout(message.clone())
    ours = kernels.quotient(stored, factor, z, epsilon=1e-6, in_place=True)
    _same_bits(ours, _quotient(*arrays, None, scale=1.0, epsilon=1e-6, stabilizer="sign", passes="open"))
    untouched = message.clone()
    kernels.quotient(untouched, factor, z, epsilon=1e-6)
    assert torch.equal(untouched, message)


@settings(deadline=None, max_examples=40)
@given(
    st.data(),
    st.sampled_from(STABILIZERS),
    st.floats(0, 1, width=32, allow_subnormal=False),
    st.floats(-4, 4, width=32, allow_subnormal=False),
)
def test_quotient_of_any_numbers(
    kernels: Any, data: st.DataObject, stabilizer: str, epsilon: float, scale: float
) -> None:
    options = {"epsilon": epsilon, "stabilizer": stabilizer, "scale": scale}
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=5, max_side=5))
    floats = hnp.arrays(np.float32, shape, elements=st.floats(width=32))
    message, factor, z = (data.draw(floats) for _ in range(3))
    ours = kernels.quotient(*_tensors(message, factor, z), **options)
    _same_bits(ours, _quotient(message, factor, z, None, passes="open", **options))


@pytest.mark.parametrize("with_factor", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_product_and_totals(kernels: Any, shape: tuple[int, ...], with_factor: bool) -> None:
    message = _normal(shape, 0)
    factor = _normal(shape, 1) if with_factor else None
    reference = message * factor if with_factor else message
    relevance, total = kernels.product(*_tensors(message, factor), total=True)
    _same_bits(relevance, reference)
    assert kernels.product(*_tensors(message, factor))[1] is None
    flat = reference.astype(np.float64).reshape(shape[0], int(np.prod(shape[1:])))
    size = np.abs(flat).sum(1)
    for sums in (total, kernels.total(*_tensors(message, factor))):
        assert sums.dtype == torch.float64
        assert sums.shape == (shape[0],)
        assert np.all(np.abs(sums.numpy() - flat.sum(1)) <= 1e-14 * size)


def test_totals_do_not_lose_small_numbers_beside_large_ones(kernels: Any) -> None:
    message = np.full((1, 3 * _core.CHUNK), 1e-3, np.float32)
    message[0, 0] = 1e8
    ours = kernels.total(torch.from_numpy(message), None)
    np.testing.assert_allclose(
        ours.numpy(), message.astype(np.float64).sum(1), rtol=1e-12
    )  # float32 sums: 1e-7


def test_special_values_in_products(kernels: Any) -> None:
    message, factor = (np.ascontiguousarray(axis) for axis in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        reference = message * factor
    _same_bits(kernels.product(*_tensors(message, factor))[0], reference)
    totals = kernels.total(*_tensors(message, factor)).numpy()
    with np.errstate(all="ignore"):
        exact = reference.astype(np.float64).sum(1)
    np.testing.assert_allclose(totals, exact, rtol=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parts_by_sign_of_every_shape(kernels: Any, shape: tuple[int, ...]) -> None:
    x, positive, negative = (_normal(shape, seed) for seed in range(3))
    x[x > 1.5] = 0
    for axis in range(1, len(shape)):
        parts = np.concatenate([positive, negative], axis)
        _same_bits(kernels.by_sign(*_tensors(x, parts), axis), np.where(x > 0, positive, negative))
        _same_bits(kernels.split(*_tensors(x), axis), _split(x, axis))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_box_of_every_shape(kernels: Any, shape: tuple[int, ...]) -> None:
    arrays = [_normal(shape, seed) for seed in range(6)]
    x, m, plus, minus, low, high = arrays
    ours = kernels.box(*_tensors(*arrays))
    _same_bits(ours, x * m - low * plus - high * minus)
    exact = x.astype(np.float64) * m - low.astype(np.float64) * plus - high.astype(np.float64) * minus
    size = np.abs(x * m) + np.abs(low * plus) + np.abs(high * minus)
    assert np.all(np.abs(ours.numpy() - exact) <= 3 * np.finfo(np.float32).eps * size)


def test_by_sign_of_special_values(kernels: Any) -> None:
    inputs = np.tile(SPECIAL, (2, 1))
    parts = np.concatenate([np.full_like(inputs, 3), np.full_like(inputs, 5)], 1)
    ours = kernels.by_sign(*_tensors(inputs, parts), 1)
    _same_bits(ours, np.where(inputs > 0, np.float32(3), np.float32(5)))  # zeros and NaN take the second
    _same_bits(kernels.split(*_tensors(inputs), 1), _split(inputs, 1))


def test_bits_depend_on_nothing_else(instruction_sets: list[str], thread_counts: list[int]) -> None:
    shape = (3, 2, 131, 127)
    operands = [torch.from_numpy(_normal(shape, seed)) for seed in range(6)]
    operands[2].flatten()[::7] = 0
    message, factor, z, gate = operands[:4]

    storages = (torch.float32, torch.float16, torch.bfloat16)

    def everything() -> list[Tensor]:
        found = [on_cpu.box(*operands), on_cpu.total(message, factor), on_cpu.split(message, 1)]
        found.append(on_cpu.by_sign(message, torch.cat([factor, z], 2), 2))
        found += [on_cpu.product(message, factor, dtype=kind)[0] for kind in storages]
        found += [on_cpu.pooled_product(message, factor, over=over) for over in ("space", "channels")]
        for stabilizer in STABILIZERS:
            options = {"epsilon": 1e-6, "stabilizer": stabilizer}
            found.append(on_cpu.quotient(message, factor, z, **options))
            found.append(on_cpu.quotient(message, None, z, gate=gate, passes="negative", **options))
        geometry = {"window": [3, 3], "stride": [2, 2], "padding": [1, 1], "dilation": [1, 1]}
        for last_wins in (False, True):
            found.append(on_cpu.max_pool(z, gate[..., :66, :64], last_wins=last_wins, **geometry))
        return found

    assert "generic" in instruction_sets
    torch.set_num_threads(1)
    reference = everything()
    for name in instruction_sets:
        _core.select_instruction_set(name)
        assert _core.build_info()["active_instruction_set"] == name
        for threads in thread_counts:
            torch.set_num_threads(threads)
            for ours, theirs in zip(everything(), reference):
                assert torch.equal(ours, theirs)
