"""Weights averaged over the last steps of a training, and weights between those before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn

State = dict[str, torch.Tensor]


class RunningMean:
    """The mean of a model's weights over steps: stochastic weight averaging (Izmailov et al., UAI 2018).

    Statistics of batch normalisation are averaged as the weights are; what is no floating-point number is taken from
    the last step. Sums are in float32 at least.

    Attributes
    ----------
    steps : int
        Steps that the mean is over.
    mean : dict of str to Tensor
        Of every floating-point entry of the state dict.
    """

    def __init__(self, steps: int = 0, mean: State | None = None) -> None:
        self.steps, self.mean = steps, mean or {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take in the weights of one more step."""
        self.steps += 1
        for name, value in model.state_dict().items():
            if not _is_inexact(value):
                continue
            value = value.detach().to(torch.promote_types(value.dtype, torch.float32))
            if name in self.mean:
                self.mean[name].lerp_(value, 1 / self.steps)
            else:
                self.mean[name] = value.clone()

    def weights(self, model: nn.Module) -> State:
        """Return a whole state dict: the mean, or the model's own weights where no step was taken in."""
        own = model.state_dict()
        found = {name: self.mean.get(name, value).to(value.dtype) for name, value in own.items()}
        return deepcopy(found)


def between(before: Mapping[str, Any], after: Mapping[str, Any], share: float) -> State:
    """Return weights that have come a share of the way from those before a training to those after it.

    Source: M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (WiSE-FT).
    """
    return {
        name: torch.lerp(before[name], value, share) if _is_inexact(value) else value
        for name, value in after.items()
    }


def _is_inexact(value: torch.Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()
