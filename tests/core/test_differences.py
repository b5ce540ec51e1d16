"""Squared distances of listed pairs of rows against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hudd import _core

_dlpack = torch.utils.dlpack.to_dlpack

SHAPES = [
    (3, 4, 7), (1, 1, 1), (5, 2, 8), (4, 4, 31), (4, 6, 33), (2, 3, 1030), (70, 65, 257),
    (2, 2, _core.CHUNK + 5), (3, 4, 0), (0, 3, 2),
]  # fmt: skip
DTYPES = [torch.float32, torch.float64]


def _rows(shape: tuple[int, int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n, m, features = shape
    left, right = (torch.randn((rows, features), generator=generator, dtype=dtype) for rows in (n, m))
    right[: min(n, m) // 2] = left[: min(n, m) // 2] * (1 + 1e-5)
    return left, right


def _all_pairs(n: int, m: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(n), torch.arange(m)).reshape(-1, 2)


def _add(left: Tensor, right: Tensor, pairs: Tensor, sums: Tensor, threads: int = 1) -> Tensor:
    _core.add_differences(_dlpack(left), _dlpack(right), _dlpack(pairs), _dlpack(sums), threads=threads)
    return sums


def _added(kernels: Any, left: Tensor, right: Tensor, pairs: Tensor, sums: Tensor) -> Tensor:
    return kernels.call("add_differences", left, right, pairs, sums)[3]


def _reference(left: Tensor, right: Tensor, pairs: Tensor, sums: Tensor) -> np.ndarray:
    i, j = pairs.numpy().T
    difference = left.numpy().astype(np.float64)[i] - right.numpy().astype(np.float64)[j]
    return sums.numpy() + (difference**2).sum(axis=1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_adds_to_what_is_there(kernels: Any, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    left, right = _rows(shape, dtype)
    pairs = _all_pairs(*shape[:2])
    before = torch.arange(len(pairs), dtype=torch.float64) / 1000
    wanted = _reference(left, right, pairs, before)
    ours = _added(kernels, left, right, pairs, before.clone()).numpy()
    np.testing.assert_allclose(ours, wanted, rtol=1e-14)


def test_pairs_in_any_order_and_more_than_once(kernels: Any) -> None:
    left, right = _rows((5, 4, 100), torch.float32)
    pairs = torch.tensor([[4, 3], [0, 0], [4, 3], [2, 1]])
    ours = _added(kernels, left, right, pairs, torch.zeros(4, dtype=torch.float64))
    assert ours[0] == ours[2]
    np.testing.assert_allclose(ours, _reference(left, right, pairs, torch.zeros(4)), rtol=1e-14)


def test_no_pairs(kernels: Any) -> None:
    left, right = _rows((5, 4, 10), torch.float32)
    assert (
        len(_added(kernels, left, right, torch.empty((0, 2), dtype=torch.int64), torch.empty(0).double()))
        == 0
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_special_values(kernels: Any, dtype: torch.dtype) -> None:
    largest, smallest = torch.finfo(torch.float32).max, 1e-45
    values = [
        0.0,
        -0.0,
        smallest,
        -smallest,
        1e-30,
        largest,
        -largest,
        float("inf"),
        -float("inf"),
        float("nan"),
    ]
    rows = torch.tensor(values, dtype=dtype)[:, None].repeat(1, 9)
    pairs = _all_pairs(len(values), len(values))
    zeros = torch.zeros(len(pairs), dtype=torch.float64)
    with np.errstate(invalid="ignore"):
        wanted = _reference(rows, rows, pairs, zeros)
    assert np.isfinite(wanted).any()
    assert np.isinf(wanted).any()
    assert np.isnan(wanted).any()
    np.testing.assert_allclose(_added(kernels, rows, rows, pairs, zeros), wanted, rtol=1e-14)


def test_equal_rows_are_at_zero(kernels: Any) -> None:
    left, _ = _rows((6, 6, 1000), torch.float32)
    pairs = torch.arange(6)[:, None].repeat(1, 2)
    assert not _added(kernels, 1e30 * left, 1e30 * left, pairs, torch.zeros(6, dtype=torch.float64)).any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_same_bits_for_any_instruction_set_and_number_of_threads(
    dtype: torch.dtype, instruction_sets: list[str], thread_counts: list[int]
) -> None:
    left, right = _rows((40, 30, 1003), dtype)
    pairs = _all_pairs(40, 30)
    found = []
    for name in instruction_sets:
        _core.select_instruction_set(name)
        for threads in thread_counts:
            found.append(_add(left, right, pairs, torch.zeros(len(pairs), dtype=torch.float64), threads))
    assert len(found) > 1
    assert all(torch.equal(sums, found[0]) for sums in found)


_PLAIN = {
    "left": torch.ones(4, 6), "right": torch.ones(3, 6), "pairs": torch.zeros(5, 2, dtype=torch.int64),
    "sums": torch.zeros(5, dtype=torch.float64),
}  # fmt: skip
WRONG_CALLS = {
    "dtype of left": ({"left": torch.ones(4, 6).half()}, "'left' must be float32 or float64, but it is float16"),
    "dtype of right": ({"right": torch.ones(3, 6).double()}, "'right' must be float32, but it is float64"),
    "dtype of pairs": ({"pairs": torch.zeros(5, 2)}, "'pairs' must be int64, but it is float32"),
    "dtype of sums": ({"sums": torch.zeros(5)}, "'sums' must be float64, but it is float32"),
    "rank of left": ({"left": torch.ones(4, 6, 1)}, "'left' must be (rows, features)"),
    "features of right": ({"right": torch.ones(3, 5)}, "'right' must have shape (3, 6)"),
    "rank of right": ({"right": torch.ones(6)}, "'right' must have shape (6, 6)"),
    "shape of pairs": ({"pairs": torch.zeros(5, 3, dtype=torch.int64)}, "'pairs' must have shape (5, 2)"),
    "shape of sums": ({"sums": torch.zeros(4, dtype=torch.float64)}, "'sums' must have shape (5,)"),
    "layout of left": ({"left": torch.ones(6, 4).T}, "'left' must be row-major"),
    "layout of right": ({"right": torch.ones(3, 12)[:, ::2]}, "'right' must be row-major"),
    "layout of pairs": ({"pairs": torch.zeros(2, 5, dtype=torch.int64).T}, "'pairs' must be row-major"),
    "layout of sums": ({"sums": torch.zeros(10, dtype=torch.float64)[::2]}, "'sums' must be row-major"),
    "row of left": ({"pairs": torch.tensor([[0, 0]] * 4 + [[4, 2]])}, "Pair 4 is (4, 2), but 'left' has 4 rows"),
    "row of right": (
        {"pairs": torch.tensor([[0, 3]] * 5)},
        "Pair 0 is (0, 3), but 'left' has 4 rows and 'right' has 3",
    ),
    "negative row": ({"pairs": torch.tensor([[-1, 0]] * 5)}, "Pair 0 is (-1, 0)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls_are_refused_in_a_sentence(name: str) -> None:
    changed, part = WRONG_CALLS[name]
    with pytest.raises(ValueError, match=r"\.$") as caught:
        _add(**{**_PLAIN, **changed})
    assert part in str(caught.value)
    assert not _PLAIN["sums"].any()


@pytest.mark.cuda
def test_a_pair_without_rows_is_nan_on_a_gpu() -> None:
    pairs = torch.tensor([[0, 0], [4, 0], [0, -1]])
    tensors = (torch.zeros(4, 6), torch.ones(3, 6), pairs, torch.zeros(3, dtype=torch.float64))
    ours = _add(*(tensor.cuda() for tensor in tensors)).cpu()
    torch.testing.assert_close(ours, torch.tensor([6.0, np.nan, np.nan]).double(), equal_nan=True)
