"""Losses by name: what a training makes small."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_WING, _CURVE = 10.0, 2.0  # pixels from where the loss is linear, and how far it is curved


def wing(off: Tensor) -> Tensor:
    """Return the wing loss of differences, which tells small errors apart (Z.-H. Feng et al., CVPR 2018)."""
    size = off.abs()
    constant = _WING - _WING * math.log(1 + _WING / _CURVE)
    return torch.where(size < _WING, _WING * torch.log(1 + size / _CURVE), size - constant)


OF_DIFFERENCES: dict[str, Callable[[Tensor], Tensor]] = {"mse": torch.square, "l1": torch.abs, "wing": wing}
"""Losses of numbers, as functions of output minus target."""


def mean_of(kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean of one of :data:`OF_DIFFERENCES` over a batch, a function of outputs and targets."""
    return lambda output, target: OF_DIFFERENCES[kind](output - target).mean()
