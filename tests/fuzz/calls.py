"""Random calls of the compiled core and of the numerical functions, drawn from a file's bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import hudd
from hudd import _core

_TORCH = (torch.float32,) * 6 + (
    torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool, torch.complex64,
)  # fmt: skip
_SHAPES: tuple[tuple[int, ...], ...] = (
    (2, 3, 4, 4), (2, 3, 4, 4), (2, 3), (2, 6), (2, 3, 1, 4, 4), (2, 3, 1, 2, 2), (2, 6, 4, 4), (1,), (), (0,), (0, 3),
    (2, 0, 4), (2, 2), (5, 2), (7,), (2, 1), (1, 1, 1, 1, 1), (2, 3, 0, 4, 4), (3, 500), (16, 1, 3, 32),
)  # fmt: skip


def core_call(path: Path) -> None:
    """Call a kernel with operands that may or may not fit."""
    rng = Random(path.read_bytes())
    if rng.random() < 0.7:  # mostly of one kind, so that many calls come through to the loops
        shape = rng.choice(_SHAPES)
        draw: Callable[[], Any] = lambda: _sound(rng, shape) if rng.random() < 0.9 else _any(rng)  # noqa: E731
    else:
        draw = lambda: _any(rng)  # noqa: E731
    threads = rng.choice((1, 1, 1, 1, 2, 2, 0, -1, 64, 2**31, 2**70, None, "x"))
    number = lambda: rng.choice((0, 1, 1, 1, -1, 2, 2, 3, 7, 2**31, 2**63 - 1, 2**64, None, 1.5))  # noqa: E731
    three = lambda: rng.choice(([1, 2, 2], [1, 1, 1], [number() for _ in range(3)], [1], [], None))  # noqa: E731
    several = ("quotient", "product", "pooled_product", "split", "by_sign")
    name = rng.choice((*several, "box", "max_pool", "add_differences", "winograd"))
    if name == "quotient":
        words = (
            rng.choice(("sign", "positive", "none", "x", None)),
            rng.choice(("open", "positive", "negative", "")),
        )
        reals = [rng.choice((1.0, 0.0, float("nan"), 1e300, None)) for _ in range(2)]
        _core.quotient(*(draw() for _ in range(5)), *reals, *words, threads)
    elif name == "product":
        _core.product(draw(), draw(), draw(), draw(), threads)
    elif name == "pooled_product":
        _core.pooled_product(
            draw(), draw(), draw(), number(), rng.choice(("space", "channels", "x")), threads
        )
    elif name in ("split", "by_sign"):
        operands = [draw() for _ in range(2 if name == "split" else 3)]
        getattr(_core, name)(*operands, number(), threads)
    elif name == "box":
        _core.box(*(draw() for _ in range(7)), threads)
    elif name == "max_pool":
        _core.max_pool(
            draw(), draw(), draw(), three(), three(), three(), three(), rng.random() < 0.5, threads
        )
    elif name == "winograd":
        image = lambda: _sound(rng, (2, 3, 4, 4), channels_last=True)  # noqa: E731
        fitting = [image(), _sound(rng, (16, 1, 3, 32)), image()]
        operands = [sound if rng.random() < 0.8 else draw() for sound in fitting]
        _core.winograd(*operands, rng.choice(((1, 1), (1, 1), (number(), number()), None)), threads)
    else:
        _core.add_differences(draw(), draw(), draw(), draw(), threads)


def _any(rng: Random) -> Any:
    how = rng.random()
    if how < 0.1:
        return rng.choice((None, 0, "dltensor", b"", object(), torch.ones(2, 3)))
    if how < 0.2:
        return _forged(rng)
    return _operand(rng, rng.choice(_SHAPES), rng.choice(_TORCH))


def _sound(rng: Random, shape: tuple[int, ...], *, channels_last: bool = False) -> Any:
    tensor = torch.full(shape, rng.choice((1.0, 0.0, -2.5, 1e-45, 3e38, float("nan"))))
    if channels_last:
        tensor = tensor.to(memory_format=torch.channels_last)
    return torch.utils.dlpack.to_dlpack(tensor)


def _operand(rng: Random, shape: tuple[int, ...], kind: torch.dtype) -> Any:
    how = rng.randrange(12)
    if how == 0:
        return np.flip(np.ones(shape, np.float32).reshape(shape or (1,))).__dlpack__()  # negative strides
    tensor = torch.ones(shape, dtype=kind)
    if how == 1 and tensor.ndim > 1:
        tensor = tensor.transpose(0, -1)
    elif how == 2:
        tensor = torch.ones(1, dtype=kind).expand(rng.choice(((2**40,), (2**31, 2**31), (3, 2**60), (4, 3))))
    elif how == 3 and tensor.ndim == 4:
        tensor = tensor.to(memory_format=torch.channels_last)
    elif how == 4 and tensor.ndim > 1:
        tensor = tensor[..., ::2]
    elif how == 5:
        tensor = (
            torch.tensor(rng.choice((float("nan"), float("inf"), 1e-45, 3e38))).expand(shape).clone().to(kind)
        )
    elif how == 7 and kind is torch.float32:
        tensor = torch.arange(rng.randrange(1, 20)).reshape(-1, 1).repeat(1, 2)
    return torch.utils.dlpack.to_dlpack(tensor)


class _Tensor(ctypes.Structure):
    """DLManagedTensor of DLPack 0.x, flattened."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    )  # fmt: skip


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_alive: list[Any] = []  # a capsule without a deleter owns nothing


def _forged(rng: Random) -> Any:
    """A capsule as a broken exporter might write it; where it says that there are numbers, there are some."""
    shape = rng.choice(((2, 3), (2, 3, 4, 4), (), (0, 3), (-1, 3), (2**62, 4), (-2, -3), (1,) * 40))
    memory = (ctypes.c_float * 4096)()
    tensor = _Tensor(
        data=ctypes.addressof(memory) if rng.random() < 0.7 else None,
        device=rng.choice((1, 1, 1, 2, 3, 4, 7, 10, 99, -1)), device_id=rng.choice((0, 0, 1, -1)),
        ndim=len(shape) if rng.random() < 0.9 else rng.choice((-1, 0)),
        code=rng.choice((2, 2, 2, 0, 1, 3, 4, 5, 200)), bits=rng.choice((32, 32, 64, 16, 0, 8, 128)),
        lanes=rng.choice((1, 1, 1, 4, 0)),
        shape=(ctypes.c_int64 * max(1, len(shape)))(*shape),
        strides=None if rng.random() < 0.7 else (ctypes.c_int64 * max(1, len(shape)))(*([1] * len(shape))),
        byte_offset=rng.choice((0, 0, 4, 64)),
    )  # fmt: skip
    _alive[:] = [*_alive[-40:], tensor, memory]
    return _capsule(
        ctypes.addressof(tensor), rng.choice((b"dltensor", b"dltensor", b"used_dltensor", b"x")), None
    )


_KINDS = ("f4", "f4", "f8", "f2", "i8", "u1", "?", "c8", "U3", "O", "M8[s]")


def array_call(path: Path) -> None:
    """Call distances, linkage and clustering with arrays that may or may not make sense."""
    rng = Random(path.read_bytes())
    draw = np.random.default_rng(rng.randrange(2**32))
    shape = rng.choice(
        ((0,), (1,), (3,), (4,), (6,), (10,), (1, 1), (2, 3), (5, 0), (0, 5), (6, 2, 3, 3), (9, 40), ())
    )
    array: Any = draw.standard_normal(shape) * rng.choice((0.0, 1.0, 1e-30, 1e30, 1e300))
    if array.size and rng.random() < 0.3:
        array = np.array(array)
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf, -1.0, 0.0))
    if rng.random() < 0.3:
        array = abs(array)
    with np.errstate(all="ignore"):
        array = np.asarray(array).astype(rng.choice(_KINDS))
    array = rng.choice((array, array, array, np.flip(array), array.tolist(), None, "x"))
    what = rng.randrange(5)
    if what == 0:
        hudd.pairwise_distances(
            array,
            rng.choice((None, None, array, np.ones((2, 3), "f4"))),
            method=rng.choice(("auto", "gram", "direct", "x")),
            squared=rng.random() < 0.5,
            unit_norm=rng.random() < 0.5,
            max_memory=rng.choice((1 << 25, 1 << 25, 0, -1)),
        )
    elif what == 1:
        hudd.linkage(array, rng.choice(("ward", "single", "average", "x")))
    elif what == 2:
        most, preset = rng.choice((None, 2, 1, 0, -5, 10**9)), rng.choice(("hudd", "hudd-2021", "x"))
        hudd.cluster(array, preset=preset, max_clusters=most)
    elif what == 3:
        labels = rng.choice(
            (np.ones(3, int), np.array([1, 2, 2]), np.zeros(0, int), np.array([-1, 0, 5]), None)
        )
        budget = rng.choice((None, 0, 1, 10**9, -1, {1: 2}, {7: 1}))
        hudd.select_unsafe(array, labels, factor=rng.choice((None, 0.3, 0, -1, np.nan)), budget=budget)
    else:
        hudd.balance(
            (array, rng.choice((array, np.array([1, 2, 2]), []))), size=rng.choice((None, 1, 0, -1, 10))
        )
