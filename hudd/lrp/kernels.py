"""The compiled kernels, called on torch tensors.

Every function takes float32 tensors on one device, :func:`winograd` on the CPU. Operands are brought to the memory
layout that the kernel needs, mostly that of the first one, so views and channels-last tensors are fine. Work runs on
torch's thread count, or on the current CUDA stream.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from hudd import _core

_dlpack = torch.utils.dlpack.to_dlpack  # type: ignore[attr-defined]


def _dense(tensor: Tensor) -> Tensor:
    """`tensor` itself if it is stored without gaps and sample after sample, else a row-major copy."""
    if tensor.is_contiguous():
        return tensor
    strides = tensor.stride()
    order = sorted(range(tensor.ndim), key=lambda axis: -strides[axis])
    batch_first = tensor.ndim == 0 or order[0] == 0
    return tensor if batch_first and tensor.permute(order).is_contiguous() else tensor.contiguous()


def _channels_last(tensor: Tensor) -> bool:
    """Whether the tensor has two spatial axes and its channels side by side."""
    last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return last and not tensor.is_contiguous()


def channels_last_on_cpu(tensor: Tensor) -> Tensor:
    """A tensor on the CPU with two spatial axes with its channels side by side, every other one as it is."""
    if tensor.ndim != 4 or tensor.device.type != "cpu":
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def in_layout_of(tensor: Tensor, first: Tensor) -> Tensor:
    """`tensor`, copied if its channels have to move to where those of `first` are."""
    return tensor.contiguous(memory_format=torch.channels_last) if _channels_last(first) else tensor


def _like(tensor: Tensor | None, first: Tensor) -> Tensor | None:
    """`tensor` with the shape and the memory layout of `first`."""
    if tensor is None or (tensor.stride() == first.stride() and tensor.shape == first.shape):
        return tensor
    return torch.empty_like(first).copy_(tensor)


def _capsule(tensor: Tensor | None) -> object:
    return None if tensor is None else _dlpack(tensor)


def _where(tensor: Tensor) -> dict[str, int]:
    if tensor.is_cuda:
        return {"stream": torch.cuda.current_stream(tensor.device).cuda_stream}
    return {"threads": torch.get_num_threads()}


def _is_large(elements: int, dtype: torch.dtype, where: Tensor) -> bool:
    """Whether it is worth keeping for a next batch, see csrc/cpu/blocks.cpp."""
    return not where.is_cuda and elements * dtype.itemsize >= _core.LARGE_BLOCK


def _room(
    shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None, *, channels_last: bool = False
) -> Tensor:
    """An empty tensor on the device of `like`."""
    dtype, elements = dtype or like.dtype, math.prod(shape)
    if not _is_large(elements, dtype, like):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return torch.empty(tuple(shape), dtype=dtype, device=like.device, memory_format=layout)
    capsule = _core.large_block(-(-elements * dtype.itemsize // 4))
    block = torch.utils.dlpack.from_dlpack(capsule).view(dtype)[:elements]
    if not channels_last:
        return block.view(*shape)
    samples, channels, height, width = shape
    return block.view(samples, height, width, channels).permute(0, 3, 1, 2)


def _room_like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An empty tensor in the dense layout of another one."""
    last = _channels_last(tensor)
    if (tensor.is_contiguous() or last) and _is_large(tensor.numel(), dtype or tensor.dtype, tensor):
        return _room(tensor.shape, tensor, dtype, channels_last=last)
    return torch.empty_like(tensor, dtype=dtype)


def expect_batches(owner: object) -> None:
    """Keep the memory of large results for a next batch as long as `owner` lives."""
    _core.expect_large_blocks()
    weakref.finalize(owner, _core.expect_no_large_blocks)


def _partial_sums(tensor: Tensor) -> Tensor:
    samples = tensor.shape[0]
    chunks = -(-(tensor.numel() // max(samples, 1)) // _core.CHUNK)
    return torch.empty((samples, chunks), dtype=torch.float64, device=tensor.device)


def quotient(
    message: Tensor,
    factor: Tensor | None,
    z: Tensor,
    *,
    epsilon: float,
    stabilizer: str = "sign",
    scale: float = 1.0,
    gate: Tensor | None = None,
    passes: str = "open",
    in_place: bool = False,
) -> Tensor:
    """Relevance over stabilised pre-activation, ``scale * message * factor / (z + eps)``.

    Parameters
    ----------
    message, factor : Tensor
        The relevance as a product; `factor` None stands for 1.
    z : Tensor
        Denominator, broadcastable to `message`.
    epsilon : float
        Size of the stabilizer.
    stabilizer : {"sign", "positive", "none"}
        ``eps * sign(z)``, always ``+eps``, or LRP-0. A denominator of zero gives zero.
    scale : float
        A constant factor.
    gate, passes : Tensor, {"open", "positive", "negative"}
        Elements whose gate has another sign give zero (generalised gamma rule).
    in_place : bool
        Write over `message`, if its memory allows.

    Returns
    -------
    Tensor
        Like `message`.
    """
    message = _dense(message)
    out = message if in_place else _room_like(message)
    operands = [_like(operand, message) for operand in (factor, z, gate)]
    _core.quotient(
        _dlpack(message), _capsule(operands[0]), _capsule(operands[1]), _capsule(operands[2]), _dlpack(out),
        scale=scale, epsilon=epsilon, stabilizer=stabilizer, passes=passes, **_where(message),
    )  # fmt: skip
    return out


def product(
    message: Tensor, factor: Tensor | None, *, dtype: torch.dtype = torch.float32, total: bool = False
) -> tuple[Tensor, Tensor | None]:
    """The relevance itself, ``message * factor``, stored as `dtype`, with its sum over each sample if asked for.

    Channels-last relevance is written row-major, in the same pass.
    """
    message = _dense(message)
    out = _room(message.shape, message, dtype) if _channels_last(message) else _room_like(message, dtype)
    sums = _partial_sums(message) if total else None
    factor = _like(factor, message)
    _core.product(_dlpack(message), _capsule(factor), _dlpack(out), _capsule(sums), **_where(message))
    return out, None if sums is None else sums.sum(1)


def total(message: Tensor, factor: Tensor | None) -> Tensor:
    """Sum of the relevance over each sample, (N,) float64."""
    message = _dense(message)
    sums = _partial_sums(message)
    factor = _like(factor, message)
    _core.product(_dlpack(message), _capsule(factor), None, _dlpack(sums), **_where(message))
    return sums.sum(1)


def pooled_product(message: Tensor, factor: Tensor | None, *, over: str, channel_axis: int = 1) -> Tensor:
    """The relevance summed over "space", (N, channels), or over "channels", (N, ...) without the channel axis."""
    if channel_axis == 1 and _channels_last(message):
        factor = None if factor is None else _like(factor, message).movedim(1, -1)  # type: ignore[union-attr]
        message, channel_axis = message.movedim(1, -1), message.ndim - 1
    message = message.contiguous()
    factor = _like(factor, message)
    shape = list(message.shape)
    channels = shape.pop(channel_axis)
    out = message.new_empty((shape[0], channels) if over == "space" else shape)
    _core.pooled_product(
        _dlpack(message),
        _capsule(factor),
        _dlpack(out),
        channel_axis=channel_axis,
        over=over,
        **_where(message),
    )
    return out


def split(inputs: Tensor, axis: int) -> Tensor:
    """The positive part of the input, then its negative part, along `axis`; of twice the extent there."""
    inputs = inputs if axis == 1 and _channels_last(inputs) else inputs.contiguous()
    parts = room_for_parts(inputs, axis)
    _core.split(_dlpack(inputs), _dlpack(parts), axis=axis % inputs.ndim, **_where(inputs))
    return parts


def room_for_parts(inputs: Tensor, axis: int) -> Tensor:
    """An empty tensor of twice the extent of `inputs` along `axis`, in the same layout."""
    shape = list(inputs.shape)
    shape[axis] *= 2
    # Gone before the next large result is made: waiting for the next batch they would only add to the peak.
    layout = torch.channels_last if _channels_last(inputs) else torch.contiguous_format
    return torch.empty(shape, dtype=inputs.dtype, device=inputs.device, memory_format=layout)


def by_sign(inputs: Tensor, parts: Tensor, axis: int) -> Tensor:
    """The first half of `parts` along `axis` where the input is greater than zero, the second elsewhere."""
    layout = torch.channels_last if axis == 1 and _channels_last(inputs) else torch.contiguous_format
    inputs, parts = (tensor.contiguous(memory_format=layout) for tensor in (inputs, parts))
    out = _room_like(inputs)
    _core.by_sign(_dlpack(inputs), _dlpack(parts), _dlpack(out), axis=axis % inputs.ndim, **_where(inputs))
    return out


def box(inputs: Tensor, message: Tensor, plus: Tensor, minus: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The z-box rule's relevance, ``inputs * message - low * plus - high * minus``."""
    message = _dense(message)
    out = _room_like(message)
    around = [_capsule(_like(operand, message)) for operand in (inputs, plus, minus, low, high)]
    _core.box(
        around[0],
        _dlpack(message),
        around[1],
        around[2],
        around[3],
        around[4],
        _dlpack(out),
        **_where(message),
    )
    return out


def max_pool(
    inputs: Tensor,
    message: Tensor,
    *,
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    last_wins: bool = False,
) -> Tensor:
    """Send every output's message to the element of its window that won; overlapping windows add.

    Parameters
    ----------
    inputs : Tensor
        (N, C, ...) with one to three spatial axes.
    message : Tensor
        (N, C, ...) at the pooled size.
    window, stride, padding, dilation : sequence of int
        One number a spatial axis.
    last_wins : bool
        Where windows overlap keep only the last, as in the authors' 2021 code.

    Returns
    -------
    Tensor
        Like `inputs`.
    """
    missing = 5 - inputs.ndim
    layout = torch.channels_last if _channels_last(inputs) else torch.contiguous_format
    out = _room(inputs.shape, inputs, channels_last=_channels_last(inputs))
    operands = [inputs.contiguous(memory_format=layout), message.contiguous(memory_format=layout), out]
    deep_input, deep_message, deep_out = (
        tensor.reshape(*tensor.shape[:2], *[1] * missing, *tensor.shape[2:]) for tensor in operands
    )
    _core.max_pool(
        _dlpack(deep_input), _dlpack(deep_message), _dlpack(deep_out),
        window=[1] * missing + list(window), stride=[1] * missing + list(stride),
        padding=[0] * missing + list(padding), dilation=[1] * missing + list(dilation),
        last_wins=last_wins, **_where(inputs),
    )  # fmt: skip
    return out


def winograd(inputs: Tensor, planes: Tensor, shape: Sequence[int], padding: tuple[int, int]) -> Tensor:
    """A 3x3 convolution with stride 1 on the CPU, by minimal filtering.

    Parameters
    ----------
    inputs : Tensor
        (N, K, ...).
    planes : Tensor
        (16, panels, K, panel) the transformed weights, the outputs' channels cut into panels.
    shape : sequence of int
        Of the output, (N, C, H, W).
    padding : tuple of int
        One number a spatial axis.

    Returns
    -------
    Tensor
        Channels-last.
    """
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    out = _room(shape, inputs, channels_last=True)
    _core.winograd(_dlpack(inputs), _dlpack(planes), _dlpack(out), padding=padding, **_where(inputs))
    return out
