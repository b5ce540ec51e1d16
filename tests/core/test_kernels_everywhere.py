"""What holds on every backend alike: any alignment, any window, the same bits again, and more than 2^31 elements."""

from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hudd import _core
from hudd.lrp import kernels as on_cpu

STORAGES = (torch.float32, torch.float16, torch.bfloat16)
CHUNK = _core.CHUNK
_GENERATOR = torch.Generator().manual_seed(0)


def _displaced(tensor: Tensor, by: int) -> Tensor:
    """The same numbers in the same layout, `by` elements behind where a whole piece of 16 bytes begins."""
    strides = tensor.stride()
    room = torch.full((tensor.numel() + 16,), float("nan"), dtype=tensor.dtype)
    start = (-room.data_ptr() // room.element_size()) % 4 + by
    return room[start : start + tensor.numel()].as_strided(tensor.shape, strides, start).copy_(tensor)


def _operands(shape: tuple[int, ...], count: int, last: bool = False) -> list[Tensor]:
    tensors = [torch.randn(shape, generator=_GENERATOR) for _ in range(count)]
    return [tensor.to(memory_format=torch.channels_last) for tensor in tensors] if last else tensors


def _window(side: int) -> dict[str, list[int]]:
    return {"window": [side] * 2, "stride": [2, 1], "padding": [1, 0], "dilation": [1, 1]}


def _pool(kernels: Any, side: int, a: Tensor, b: Tensor) -> Tensor:
    rows, columns = (a.shape[2] + 2 - side) // 2 + 1, a.shape[3] - side + 1
    message = on_cpu.in_layout_of(b[:, :, :rows, :columns].contiguous(), a)
    return kernels.max_pool(a, _displaced(message, b.storage_offset() % 4), **_window(side))


# Each takes six tensors of one shape and layout.
CALLS: dict[str, Callable[..., object]] = {
    "quotient": lambda k, a, b, c, *_: k.quotient(a, b, c, epsilon=1e-6),
    "quotient, gated": lambda k, a, b, c, d, *_: k.quotient(
        a, b, c, epsilon=1e-6, gate=d, passes="negative", stabilizer="none"
    ),
    "quotient of a gate alone": lambda k, a, b, c, d, *_: k.quotient(
        a, None, c, epsilon=1e-6, gate=d, passes="positive", stabilizer="positive"
    ),
    **{
        f"product as {storage}": lambda k, a, b, *_, storage=storage: k.product(a, b, dtype=storage)[0]
        for storage in STORAGES
    },
    "message as float16": lambda k, a, *_: k.product(a, None, dtype=torch.float16)[0],
    "box": lambda k, *tensors: k.box(*tensors),
    "split": lambda k, a, *_: k.split(a, 1),
    "by sign": lambda k, a, b, c, *_: k.by_sign(a, _displaced(on_cpu.split(b, 1), c.storage_offset() % 4), 1),
    "2x2 windows": lambda k, a, b, *_: _pool(k, 2, a, b),
    "3x3 windows": lambda k, a, b, *_: _pool(k, 3, a, b),
}
SUMS: dict[str, Callable[..., Tensor]] = {
    "total": lambda k, a, b, *_: k.total(a, b),
    "total beside float16": lambda k, a, b, *_: k.product(a, b, dtype=torch.float16, total=True)[1],
    "over space": lambda k, a, b, *_: k.pooled_product(a, b, over="space"),
    "over channels": lambda k, a, b, *_: k.pooled_product(a, b, over="channels"),
    "message over space": lambda k, a, *_: k.pooled_product(a, None, over="space"),
}
SHAPES = [(3, 5, 7, 9), (2, 8, 12, 16), (2, 36, 19, 33), (1, 130, 8, 8)]


@pytest.mark.parametrize("last", [False, True], ids=["row-major", "channels-last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [*CALLS, *SUMS])
def test_where_memory_begins_does_not_matter(
    kernels: Any, name: str, shape: tuple[int, ...], last: bool
) -> None:
    tensors = _operands(shape, 6, last)
    call = {**CALLS, **SUMS}[name]
    expected, plain = call(on_cpu, *tensors), call(kernels, *tensors)
    if name in CALLS:
        assert torch.equal(plain, expected)
    else:
        torch.testing.assert_close(plain, expected, rtol=1e-6, atol=1e-6)
    for places in ((1,) * 6, (2, 2, 2, 2, 2, 2), (0, 3, 0, 1, 2, 0), (3, 0, 0, 0, 0, 0)):
        moved = [_displaced(tensor, by) for tensor, by in zip(tensors, places)]
        assert torch.equal(call(kernels, *moved), plain)
    assert torch.equal(call(kernels, *tensors), plain)  # again, the threads of a block in another order


@pytest.mark.parametrize("last", [False, True], ids=["row-major", "channels-last"])
@pytest.mark.parametrize("name", [*CALLS, *SUMS])
def test_an_image_does_not_depend_on_its_batch(kernels: Any, name: str, last: bool) -> None:
    call = {**CALLS, **SUMS}[name]
    tensors = _operands((3, 5, 21, 45), 6, last)
    whole = call(kernels, *tensors)
    for image in range(3):
        alone = call(kernels, *(tensor[image : image + 1] for tensor in tensors))
        assert torch.equal(alone, whole[image : image + 1])


@pytest.mark.parametrize("features", [4, 7, 64, 130, 1027])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_where_rows_begin_does_not_matter(kernels: Any, features: int, dtype: torch.dtype) -> None:
    rows = [torch.randn((5, features), generator=_GENERATOR, dtype=dtype) for _ in range(2)]
    pairs = torch.tensor([[0, 1], [4, 4], [3, 0], [2, 2]])
    sums = [
        kernels.call("add_differences", left, right, pairs, torch.zeros(4, dtype=torch.float64))[3]
        for left, right in (rows, [_displaced(rows[0], 1), rows[1]], [_displaced(row, 2) for row in rows])
    ]
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


@pytest.mark.parametrize("last", [False, True], ids=["row-major", "channels-last"])
@pytest.mark.parametrize("size", [(1, 3, 3), (3, 17, 35), (40, 6, 5), (2, 70, 66)], ids=str)
def test_every_small_window(kernels: Any, size: tuple[int, int, int], last: bool) -> None:
    inputs = torch.randint(-3, 4, (2, *size), generator=_GENERATOR).float()
    inputs = inputs.to(memory_format=torch.channels_last) if last else inputs
    for window, stride, padding, dilation, last_wins in itertools.product(
        (1, 2, 3), (1, 2, 3), (0, 1), (1, 2), (False, True)
    ):
        outputs = [(n + 2 * padding - dilation * (window - 1) - 1) // stride + 1 for n in size[1:]]
        if min(outputs) < 1 or 2 * padding > window:
            continue
        message = on_cpu.in_layout_of(torch.randn((2, size[0], *outputs), generator=_GENERATOR), inputs)
        geometry = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
        options = {**{key: [value] * 2 for key, value in geometry.items()}, "last_wins": last_wins}
        ours = kernels.max_pool(inputs, message, **options)
        assert torch.equal(ours, on_cpu.max_pool(inputs, message, **options)), geometry


@pytest.mark.parametrize("stride", [2, 70], ids="stride {}".format)
def test_windows_with_gaps_between_them(kernels: Any, stride: int) -> None:
    inputs = torch.randn((2, 3, 150, 145), generator=_GENERATOR)
    outputs = [(extent - 2) // stride + 1 for extent in (150, 145)]
    message = torch.randn((2, 3, *outputs), generator=_GENERATOR)
    options = {"window": [2, 2], "stride": [stride, stride], "padding": [0, 0], "dilation": [1, 1]}
    assert torch.equal(
        kernels.max_pool(inputs, message, **options), on_cpu.max_pool(inputs, message, **options)
    )


# Only the emulator leaves out what lies between the edges.
emulated = pytest.mark.parametrize(
    "kernels", [pytest.param("cuda-on-host", marks=pytest.mark.slow)], indirect=True
)
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Python 3.13 has it


@pytest.fixture
def vast(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, torch.dtype], Tensor]:
    """Zeros that take no memory until they are written; of the grids over them only the edges run."""
    monkeypatch.setenv("CUDA_ON_HOST_EDGE", "40")

    def make(elements: int, dtype: torch.dtype = torch.float32) -> Tensor:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        memory = mmap.mmap(-1, elements * dtype.itemsize, flags=flags)
        return torch.frombuffer(memory, dtype=dtype)

    return make


VAST = 2**31 + 2**20 + 12  # samples of half as many elements
EDGE = 64


def _marked(tensor: Tensor) -> Tensor:
    tensor.view(-1)[:EDGE] = torch.arange(1.0, EDGE + 1)
    tensor.view(-1)[-EDGE:] = torch.arange(2.0, EDGE + 2)
    return tensor


def _same_edges(ours: Tensor, expected: Callable[[Tensor], Tensor], given: Tensor) -> None:
    flat, source = ours.view(-1), given.view(-1)
    assert torch.equal(flat[:EDGE], expected(source[:EDGE]).to(ours.dtype))
    assert torch.equal(flat[-EDGE:], expected(source[-EDGE:]).to(ours.dtype))


@emulated
@pytest.mark.parametrize("displaced", [0, 1])
def test_more_elements_than_32_bits_count(kernels: Any, vast: Any, displaced: int) -> None:
    shape = (2, VAST // 2)
    given = _marked(vast(VAST + displaced)[displaced:].view(shape))
    ones, out = given, vast(VAST + displaced)[displaced:].view(shape)
    kernels.call("quotient", given, None, ones, None, out, stabilizer="none")
    _same_edges(out, lambda x: x * (1 / x), given)
    for storage in (torch.float16, torch.float32):
        stored = vast(VAST, storage).view(shape)
        kernels.call("product", given, given, stored, None)
        _same_edges(stored, torch.square, given)
    kernels.call("box", *[given] * 6, out)
    _same_edges(out, lambda x: x * x - x * x - x * x, given)


@emulated
@pytest.mark.parametrize("rows", [1, 2, 2**24])
def test_more_parts_than_32_bits_count(kernels: Any, vast: Any, rows: int) -> None:
    run = VAST // rows
    given = _marked(vast(rows * run).view(rows, run))
    given.view(-1)[: EDGE // 2] *= -1
    parts = vast(2 * rows * run).view(rows, 2 * run)
    kernels.call("split", given, parts, axis=1)
    edge = min(EDGE, run)
    assert torch.equal(parts[0, :edge], given[0, :edge].clamp(min=0))
    assert torch.equal(parts[-1, -edge:], given[-1, -edge:].clamp(max=0))
    out = vast(rows * run).view(rows, run)
    kernels.call("by_sign", given, parts, out, axis=1)
    assert torch.equal(out[0, :edge], given[0, :edge])
    assert torch.equal(out[-1, -edge:], given[-1, -edge:])


@emulated
def test_a_vast_pooling(kernels: Any, vast: Any) -> None:
    planes = 2**15 + 3
    given = _marked(vast(planes * 2**16).view(1, planes, 1, 256, 256))
    message = vast(planes * 2**14).view(1, planes, 1, 128, 128)
    message.view(-1)[:4], message.view(-1)[-4:] = 5.0, 7.0
    out = vast(planes * 2**16).view(1, planes, 1, 256, 256)
    geometry = {"window": [1, 2, 2], "stride": [1, 2, 2], "padding": [0, 0, 0], "dilation": [1, 1, 1]}
    kernels.call("max_pool", given, message, out, **geometry)
    assert out[0, 0, 0, 0, :8].tolist() == [0, 5, 0, 5, 0, 5, 0, 5]
    assert out[0, -1, 0, -1, -8:].tolist() == [0, 7, 0, 7, 0, 7, 0, 7]
    sums = vast(planes).view(1, planes)
    kernels.call("pooled_product", given, None, sums, channel_axis=1, over="space")
    assert sums[0, 0] == EDGE * (EDGE + 1) / 2
    assert sums[0, -1] == EDGE * (EDGE + 3) / 2


@emulated
@pytest.mark.parametrize("channels", [3, 64])
def test_a_vast_channels_last_product(kernels: Any, vast: Any, channels: int) -> None:
    side = math.isqrt(2**29 // channels) + 3
    count = channels * side * side * 4
    given = _marked(vast(count).view(4, side, side, channels)).permute(0, 3, 1, 2)
    out = vast(count).view(4, channels, side, side)
    kernels.call("product", given, None, out, None)
    positions = EDGE // channels
    assert torch.equal(out[0, :, 0, :positions], given[0, :, 0, :positions])
    assert torch.equal(out[-1, :, -1, -positions:], given[-1, :, -1, -positions:])
