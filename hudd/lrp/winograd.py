"""The input gradient of a 3x3 convolution with stride 1, by minimal filtering.

It is a 3x3 convolution itself, of the output's gradient with the kernel turned round. Minimal filtering, F(2x2, 3x3) of
Winograd 1980 (Lavin & Gray 2016, arXiv 1509.09308), computes four neighbouring outputs from 16 products a channel in
place of 36, in shorter sums: faster, and no further from the exact result than the direct sum. A number that is
not finite reaches up to one pixel further than in the direct sum, and a gradient that is zero because no output reaches
it may be as large as the rounding error of its neighbours; so only gradients, no denominators, are computed this way.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hudd import _core
from hudd.lrp import kernels

_FEWEST_OUTPUTS, _FEWEST_INPUTS = 16, _core.WINOGRAD_PANEL  # channels; with fewer the direct sum is as fast

_TRANSFORM = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


class Winograd:
    """The input gradient of one 2-d convolution without groups and dilation.

    Parameters
    ----------
    weight : Tensor
        (K, C, 3, 3) float32 on the CPU, the convolution's.
    padding : sequence of int
        The convolution's, 0 to 2 an axis.
    """

    def __init__(self, weight: Tensor, padding: Sequence[int]) -> None:
        transform = torch.tensor(_TRANSFORM, dtype=torch.float64)
        turned = weight.flip(2, 3).permute(2, 3, 0, 1).flatten(0, 1).double()  # (9, K, C)
        planes = torch.tensordot(torch.kron(transform, transform), turned, 1).float()
        panels = -(-weight.shape[1] // _core.WINOGRAD_PANEL)
        missing = panels * _core.WINOGRAD_PANEL - weight.shape[1]
        padded = torch.nn.functional.pad(planes, (0, missing)).unflatten(2, (panels, _core.WINOGRAD_PANEL))
        self._planes = padded.transpose(1, 2).contiguous()  # (16, panels, K, panel)
        self._padding = 2 - padding[0], 2 - padding[1]

    @staticmethod
    def fits(weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> bool:
        """Whether it takes such a convolution, and is faster than the direct sum."""
        return (
            weight.dtype == torch.float32
            and tuple(weight.shape[2:]) == (3, 3)
            and weight.shape[0] >= _FEWEST_OUTPUTS
            and weight.shape[1] >= _FEWEST_INPUTS
            and all(step == 1 for step in stride)
            and all(pad <= 2 for pad in padding)
        )

    def adjoint(self, s: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient, (N, C, H, W) as `shape` says, channels-last, from that of the output, (N, K, ...)."""
        return kernels.winograd(s, self._planes, shape, self._padding)
