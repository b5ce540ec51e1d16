"""Whatever a kernel cannot work on is refused in a full sentence before any memory is touched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hudd import _core

_dlpack = torch.utils.dlpack.to_dlpack


_ONES = torch.ones(2, 3, 4, 5)


def _quotient(**changed: object) -> None:
    plain = {name: torch.ones(2, 3, 4, 5) for name in ("message", "factor", "z", "gate", "out")}
    tensors = {name: changed.pop(name, tensor) for name, tensor in plain.items()}
    _core.quotient(**{name: _capsule(tensor) for name, tensor in tensors.items()}, **changed)


def _capsule(value: object) -> object:
    return _dlpack(value) if isinstance(value, Tensor) else value


def _product(out: Tensor | None, sums: Tensor | None) -> None:
    _core.product(_dlpack(torch.ones(2, 3)), None, _capsule(out), _capsule(sums))


def _pooled(message: Tensor, out: Tensor, axis: int = 1, over: str = "space") -> None:
    _core.pooled_product(_dlpack(message), None, _dlpack(out), channel_axis=axis, over=over)


def _max_pool(message: Tensor, out: Tensor | None = None, **changed: object) -> None:
    inputs = torch.ones(2, 3, 1, 4, 4)
    geometry = {
        "window": [1, 2, 2],
        "stride": [1, 2, 2],
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        **changed,
    }
    result = torch.empty_like(inputs) if out is None else out
    _core.max_pool(_dlpack(inputs), _dlpack(message), _dlpack(result), **geometry)


def _winograd(**changed: object) -> None:
    last = torch.channels_last
    call: dict[str, object] = {
        "input": torch.ones(2, 3, 4, 5).to(memory_format=last),
        "weights": torch.ones(16, 2, 3, _core.WINOGRAD_PANEL),
        "out": torch.ones(2, 40, 4, 5).to(memory_format=last),
        "padding": (1, 1),
        **changed,
    }
    _core.winograd(**{name: _capsule(value) for name, value in call.items()})


_POOLED = torch.ones(2, 3, 1, 2, 2)
WRONG_CALLS = {
    "dtype of message": (
        lambda: _quotient(message=_ONES.double()),
        "'message' must be float32, but it is float64",
    ),
    "dtype of factor": (
        lambda: _quotient(factor=_ONES.half()),
        "'factor' must be float32, but it is float16",
    ),
    "unknown dtype": (lambda: _quotient(z=_ONES.char()), "'z' has a dtype that hudd does not"),
    "complex": (lambda: _quotient(z=_ONES.cfloat()), "'z' has a dtype that hudd does not"),
    "shape of z": (
        lambda: _quotient(z=torch.ones(2, 3, 4, 6)),
        "'z' and 'message' must have one shape and one memory layout",
    ),
    "rank of gate": (
        lambda: _quotient(gate=torch.ones(2, 3, 20)),
        "'gate' and 'message' must have one shape",
    ),
    "layout of out": (
        lambda: _quotient(out=_ONES.to(memory_format=torch.channels_last)),
        "'out' and 'message' must have one shape and one memory layout",
    ),
    "gaps": (lambda: _quotient(message=torch.ones(2, 3, 4, 10)[..., ::2]), "must be stored without gaps"),
    "overlap": (
        lambda: _quotient(message=torch.ones(1, 3, 4, 5).expand(2, 3, 4, 5)),
        "must be stored without gaps",
    ),
    "samples interleaved": (
        lambda: _quotient(message=torch.ones(3, 2, 4, 5).transpose(0, 1)),
        "sample after sample",
    ),
    "no axes": (lambda: _quotient(message=torch.tensor(1.0)), "'message' must have at least 1 axes"),
    "stabilizer": (
        lambda: _quotient(stabilizer="minus"),
        "'minus' is unknown; choose one of: none, sign, positive",
    ),
    "gate": (lambda: _quotient(passes="shut"), "'shut' is unknown; choose one of: open, positive, negative"),
    "storage": (
        lambda: _product(torch.ones(2, 3).double(), None),
        "'out' must be float32, float16 or bfloat16",
    ),
    "shape of stored": (
        lambda: _product(torch.ones(3, 2).half(), None),
        "'out' and 'message' must have one shape",
    ),
    "dtype of sums": (lambda: _product(None, torch.ones(2, 1)), "'sums' must be float64, but it is float32"),
    "shape of sums": (lambda: _product(None, torch.ones(2, 2).double()), "'sums' must have shape (2, 1)"),
    "rank to pool": (lambda: _pooled(torch.ones(2), torch.ones(2)), "'message' must have at least 2 axes"),
    "channel axis 0": (lambda: _pooled(torch.ones(2, 3, 4), torch.ones(2, 3), 0), "must lie between 1 and 2"),
    "channel axis 3": (lambda: _pooled(torch.ones(2, 3, 4), torch.ones(2, 3), 3), "must lie between 1 and 2"),
    "over": (lambda: _pooled(torch.ones(2, 3, 4), torch.ones(2, 3), over="time"), "not over 'time'"),
    "pooled size": (lambda: _pooled(torch.ones(2, 3, 4), torch.ones(2, 4)), "'out' must hold 6 numbers"),
    "pooled layout": (
        lambda: _pooled(torch.ones(2, 4, 3).transpose(1, 2), torch.ones(2, 3)),
        "'message' must be row-major",
    ),
    "pooling window": (
        lambda: _max_pool(_POOLED, window=[1, 0, 2]),
        "window, stride and dilation must be at least 1",
    ),
    "pooling stride": (
        lambda: _max_pool(_POOLED, stride=[1, 2, 0]),
        "window, stride and dilation must be at least 1",
    ),
    "pooling padding": (lambda: _max_pool(_POOLED, padding=[0, -1, 0]), "a padding at least 0"),
    "pooling rank": (lambda: _max_pool(torch.ones(2, 3, 2, 2)), "'message' must have at least 5 axes"),
    "pooling channels": (lambda: _max_pool(torch.ones(2, 4, 1, 2, 2)), "one batch size and channel count"),
    "pooling out": (
        lambda: _max_pool(_POOLED, torch.ones(2, 3, 1, 4, 5)),
        "'out' must have shape (2, 3, 1, 4, 4)",
    ),
    "layout of a 3x3 convolution": (
        lambda: _winograd(input=torch.ones(2, 3, 4, 5)),
        "'input' must be (batch, channels, height, width), stored channels-last on the CPU",
    ),
    "rank of a 3x3 convolution": (
        lambda: _winograd(out=torch.ones(2, 40, 20)),
        "'out' must be (batch, channels, height, width), stored channels-last on the CPU",
    ),
    "dtype of a 3x3 convolution": (
        lambda: _winograd(weights=torch.ones(16, 2, 3, 32).double()),
        "'weights' must be float32, but it is float64",
    ),
    "weights of a 3x3 convolution": (
        lambda: _winograd(weights=torch.ones(16, 1, 3, 32)),
        "'weights' must have shape (16, 2, 3, 32)",
    ),
    "padding of a 3x3 convolution": (
        lambda: _winograd(padding=(1, 3)),
        "must be 0, 1 or 2, but it is 3",
    ),
    "size of a 3x3 convolution": (
        lambda: _winograd(padding=(1, 0)),
        "'out' must have shape (2, 40, 4, 3)",
    ),
    "instruction set": (
        lambda: _core.select_instruction_set("mmx"),
        "'mmx' is not available on this machine; choose one of",
    ),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls_are_refused_in_a_sentence(name: str) -> None:
    call, part = WRONG_CALLS[name]
    with pytest.raises(ValueError, match=r"\.$") as caught:
        call()
    message = str(caught.value)
    assert part in message
    assert message[0].isupper()
    assert "\n" not in message


def test_a_capsule_serves_once() -> None:
    capsule = _dlpack(torch.ones(2, 3))
    torch.utils.dlpack.from_dlpack(capsule)
    with pytest.raises(ValueError, match="'message' must come as an unused DLPack capsule named 'dltensor'"):
        _core.product(capsule, None, _dlpack(torch.empty(2, 3)), None)


def test_something_that_is_no_capsule() -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.product(torch.ones(2, 3), None, None, None)


def test_a_tensor_of_another_device() -> None:
    with pytest.raises((ValueError, BufferError, NotImplementedError)):
        _core.product(_dlpack(torch.ones(2, 3, device="meta")), None, None, None)


def test_build_info() -> None:
    info = _core.build_info()
    assert set(info) == {
        "compiler", "instruction_sets", "active_instruction_set", "cuda", "cuda_architectures", "parallel_runtime",
    }  # fmt: skip
    assert bool(info["cuda"]) == bool(info["cuda_architectures"])
    assert "generic" in info["instruction_sets"]
    assert info["active_instruction_set"] in info["instruction_sets"]
    assert info["parallel_runtime"] in ("openmp", "threads")
