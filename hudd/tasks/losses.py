"""What retraining makes small where numbers are predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hudd.errors import UsageError
from hudd.lazy import torch
from hudd.specs import is_factory

if TYPE_CHECKING:
    from torch import Tensor

LOSSES = ("mse", "l1", "wing")  # of hudd.retraining.losses
_SIGMA = 1.5  # pixels of a map, of the peak that is learned


class NumbersLoss:
    """The mean over all known targets of a function of the difference; of angles the shorter way round.

    Parameters
    ----------
    kind : {"mse", "l1", "wing"}
        Of the difference the square, the magnitude, or the wing loss.
    periods : sequence of float
        (T,) period of each target, infinite of what is no angle.
    """

    def __init__(self, kind: str, periods: Sequence[float]) -> None:
        self.kind, self.periods = kind, [float(period) for period in periods]
        self.__qualname__ = f"NumbersLoss({kind}, {self.periods})"  # the choices of a training are told by it

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (n, ...) outputs for (n, T) targets, NaN where unknown."""
        from hudd.retraining.losses import OF_DIFFERENCES  # seconds, and results are read without it

        known = torch.isfinite(target)
        off = output.flatten(1).float() - torch.where(known, target, 0.0)
        period = torch.tensor(self.periods, device=off.device)
        turn = torch.where(torch.isfinite(period), period, 1.0)
        off = torch.where(torch.isfinite(period), off - turn * torch.round(off / turn).detach(), off)
        each = OF_DIFFERENCES[self.kind](off) * known
        return each.sum() / known.sum().clamp(min=1)


class PlacesLoss(NumbersLoss):
    """Of coordinates a :class:`NumbersLoss`; of maps the mean squared difference from maps with a peak of height 1.

    Parameters
    ----------
    kind : {"mse", "l1", "wing"}
        For coordinates.
    span : sequence
        Lowest x and y of the image, then its width and height, in the unit of the targets.
    """

    def __init__(self, kind: str, span: Sequence[Sequence[float]]) -> None:
        super().__init__(kind, [math.inf])
        self.span = span
        self.__qualname__ = f"PlacesLoss({kind}, {span})"

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (n, T) coordinates or (n, K, H, W) maps for (n, T) targets, NaN where unknown."""
        if output.ndim != 4:
            return super().__call__(output, target)
        (low, extent), size = torch.tensor(self.span, device=target.device), output.shape[:1:-1]
        place = (target.reshape(len(target), -1, 2) - low) / extent * torch.tensor(size, device=target.device)
        known = torch.isfinite(place).all(2)
        x, y = torch.where(known[..., None], place, 0.0).unbind(2)
        columns, rows = (torch.arange(side, device=target.device) for side in size)
        across = (columns - x[..., None]).square()[:, :, None, :]
        down = (rows - y[..., None]).square()[:, :, :, None]
        each = (output.float() - torch.exp(-(across + down) / (2 * _SIGMA**2))).square().mean((2, 3)) * known
        return each.sum() / known.sum().clamp(min=1)


class OwnLoss:
    """What a factory makes, called with outputs in the shape of the targets, (n, T), which are NaN where unknown.

    Parameters
    ----------
    spec : str
        ``package.module:factory``.

    Raises
    ------
    UsageError
        If the factory fails, or makes something that cannot be called.
    """

    def __init__(self, spec: str) -> None:
        from hudd.retraining import TrainingConfig  # seconds, and results are read without it

        self.loss = TrainingConfig(loss=spec).loss_function()
        self.__qualname__ = f"OwnLoss({spec})"

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (n, ...) outputs for (n, T) targets; maps, (n, K, H, W), are left as they are."""
        return self.loss(output if output.ndim == 4 else output.reshape(target.shape), target)


def chosen_loss(options: Mapping[str, Any], allowed: Sequence[str]) -> Any:
    """Return the loss that a training's options give, the first of those allowed where they give none.

    Raises
    ------
    UsageError
        If they name another one.
    """
    loss = options.get("loss", allowed[0])
    if isinstance(loss, str) and loss not in allowed and not is_factory(loss):
        raise UsageError(
            f"loss of a training is '{loss}'; choose one of: {', '.join(allowed)}, or package.module:factory."
        )
    return loss
