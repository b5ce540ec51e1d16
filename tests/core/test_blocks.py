"""Memory for large results: kept for the next batch, never shared, given back when asked."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

import hudd
from hudd import _core
from hudd.lrp import kernels

pytestmark = pytest.mark.slow  # collecting garbage before and after each takes longer than the tests

LARGE = _core.LARGE_BLOCK // 4


@pytest.fixture(autouse=True)
def _none_waits() -> Iterator[None]:
    gc.collect()
    _core.expect_large_blocks()
    yield
    gc.collect()
    _core.expect_no_large_blocks()


def _block(elements: int = LARGE) -> Tensor:
    return torch.utils.dlpack.from_dlpack(_core.large_block(elements))


def test_a_block_comes_again() -> None:
    first, second = _block(), _block(LARGE + 5)
    places = first.data_ptr(), second.data_ptr()
    assert len(set(places)) == 2
    assert all(place % 64 == 0 for place in places)
    view = first[10:]
    del first
    assert _block().data_ptr() not in places  # a view still holds the first
    del view, second
    assert _block(LARGE + 3).data_ptr() == places[1]  # the smallest that is large enough


def test_a_far_larger_block_waits_for_its_like() -> None:
    large = _block(2 * LARGE + 5000)
    place = large.data_ptr()
    del large
    small = _block()
    assert small.data_ptr() != place
    assert _block(LARGE + 5000).data_ptr() == place


def test_what_waits_is_handed_back_with_the_last_who_expects_a_batch() -> None:
    _core.expect_large_blocks()
    block, later = _block(), _block()
    del block
    assert _core.expect_no_large_blocks() == 0
    assert _core.expect_no_large_blocks() == 4 * LARGE
    del later  # nobody expects another batch: it goes at once
    _core.expect_large_blocks()
    assert _core.expect_no_large_blocks() == 0
    assert _core.expect_no_large_blocks() == 0
    _core.expect_large_blocks()


def test_a_capsule_that_nobody_took() -> None:
    capsule = _core.large_block(LARGE)
    del capsule
    assert _core.expect_no_large_blocks() == 4 * LARGE
    _core.expect_large_blocks()


@pytest.mark.parametrize("elements", [-1, 0, LARGE - 1, -(2**63), 2**46, 2**62 + LARGE])
def test_other_sizes_are_refused(elements: int) -> None:
    with pytest.raises(
        ValueError, match=rf"must hold {LARGE} to \d+ elements, but {elements} were asked for\.$"
    ):
        _core.large_block(elements)


def test_threads_never_share_a_block() -> None:
    def write(number: int) -> bool:
        for turn in range(8):
            block = _block()
            block[::4096] = number + turn
            if not bool((block[::4096] == number + turn).all()):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, range(0, 400, 100)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_nothing_of_an_earlier_batch_is_seen(dtype: torch.dtype, channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    message = torch.randn(2, 33, 513, 500).contiguous(memory_format=layout)
    expected = (message * 2).to(dtype)
    for _ in range(3):
        _block(message.numel() + 1000).fill_(float("nan"))
        relevance, total = kernels.product(message, torch.full_like(message, 2), dtype=dtype, total=True)
        assert relevance.is_contiguous()
        assert torch.equal(relevance, expected)
        assert total is not None
        assert total.isfinite().all()
        del relevance


def test_relevance_is_equal_to_the_bit_in_used_memory() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 40, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(40, 32, 3, padding=1), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(32 * 96 * 96, 3),
    ).eval()  # fmt: skip
    images, lrp = torch.randn(8, 3, 192, 192), hudd.LRP(net)
    fresh = lrp.attribute(images)
    for _ in range(2):
        _block(40 * 8 * 192 * 192).fill_(float("nan"))
        used = lrp.attribute(images)
        assert used.layers.keys() == fresh.layers.keys()
        assert all(torch.equal(used.layers[name], fresh.layers[name]) for name in fresh.layers)


def test_they_go_with_the_one_who_used_them() -> None:
    lrp = hudd.LRP(torch.nn.Sequential(torch.nn.Conv2d(3, 33, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval())
    relevance = lrp.attribute(torch.randn(4, 3, 300, 300), 0)
    _core.expect_no_large_blocks()
    del lrp
    gc.collect()
    del relevance  # comes later than its maker went
    _core.expect_large_blocks()
    assert _core.expect_no_large_blocks() == 0
    _core.expect_large_blocks()
