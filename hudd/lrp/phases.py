"""The input gradient of a convolution with few input channels, as a convolution forwards.

A vector unit that works on 16 channels at a time is idle for the most part on 3. So the image is cut into blocks of
pixels, and the pixels of a block become channels: the gradient of a block is a convolution of the output's gradient
whose kernel holds, for each pixel of the block (its phase), the weights that lead there (sub-pixel convolution, Shi et
al. 2016, arXiv 1609.05158, read backwards).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class Phases:
    """The input gradient of one 2-d convolution without groups and dilation.

    Parameters
    ----------
    weight : Tensor
        (K, C, h, w), the convolution's.
    stride, padding : sequence of int
        The convolution's, one number a spatial axis.
    """

    def __init__(self, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> None:
        # Wide enough to fill the vector unit, in whole strides.
        self._block = [step if step > 2 else 2 * step for step in stride]
        self._step = [block // step for block, step in zip(self._block, stride)]
        taps = [
            _taps(size, block, step, pad)
            for size, block, step, pad in zip(weight.shape[2:], self._block, stride, padding)
        ]
        self._before = [-first for first, _ in taps]
        rows, columns = (places for _, places in taps)
        padded = functional.pad(weight, (0, 1, 0, 1))  # index -1: no weight leads from there to this phase
        chosen = padded[:, :, rows[:, :, None, None], columns]  # (K, C, phase, tap, phase, tap)
        kernel = chosen.permute(2, 4, 1, 0, 3, 5).flatten(
            0, 2
        )  # a block's pixels, their channels side by side
        self._kernel = kernel.contiguous(memory_format=torch.channels_last)
        self._channels = weight.shape[1]

    def adjoint(self, s: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient, (N, C, H, W) as `shape` says, channels-last."""
        size = shape[2:]
        blocks = [-(-extent // block) for extent, block in zip(size, self._block)]
        after = [
            (count - 1) * step + width - before - extent
            for count, step, width, before, extent in zip(
                blocks, self._step, self._kernel.shape[2:], self._before, s.shape[2:]
            )
        ]
        sides = [side for pair in reversed(list(zip(self._before, after))) for side in pair]
        padded = functional.pad(s, sides) if any(sides) else s
        pixels = functional.conv2d(padded, self._kernel, stride=self._step).permute(0, 2, 3, 1)
        pixels = pixels.reshape(*pixels.shape[:3], *self._block, self._channels).transpose(2, 3)
        whole = [count * block for count, block in zip(blocks, self._block)]
        image = pixels.reshape(s.shape[0], *whole, self._channels).permute(0, 3, 1, 2)
        return image[:, :, : size[0], : size[1]].contiguous(memory_format=torch.channels_last)


def _taps(size: int, block: int, stride: int, padding: int) -> tuple[int, Tensor]:
    """Where the outputs begin that reach a block, counted from the block's own, and each phase's weight from each.

    Pixel ``block * q + phase`` gets from output ``step * q + d`` through weight ``phase + padding - stride * d``, with
    ``step = block / stride``; -1 stands for none.
    """
    first = -((size - 1 - padding) // stride)
    last = (block - 1 + padding) // stride
    outputs = torch.arange(first, last + 1)
    places = torch.arange(block)[:, None] + padding - stride * outputs
    return first, torch.where((places >= 0) & (places < size), places, -1)
