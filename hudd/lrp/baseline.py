"""Images to compare with: what sets an image apart from its baseline is explained, in place of the whole output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from math import ceil
from operator import add

import torch
from torch import Tensor
from torch.nn import functional

from hudd.errors import UsageError
from hudd.lrp.relevance import Relevance

Baseline = float | str | Tensor | Callable[[Tensor], Tensor]
_BLUR = 1 / 8  # of the shorter side, the Gaussian's standard deviation
_REACH = 4  # standard deviations
_SEED = 26  # of noise


def mean_colour(images: Tensor) -> Tensor:
    """Each image's mean over space, in its shape."""
    if images.ndim < 3:
        raise UsageError(
            f"the mean colour is of images (N, C, ...), but an input has shape {tuple(images.shape)}; give a number "
            "or a tensor for a baseline."
        )
    return images.mean(tuple(range(2, images.ndim)), keepdim=True).expand_as(images)


def noise(images: Tensor) -> Tensor:
    """Normal noise with each image's mean and standard deviation over space, in its shape; the same draw for all."""
    colour = mean_colour(images)
    spread = images.std(tuple(range(2, images.ndim)), keepdim=True, correction=0)
    drawn = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(_SEED), dtype=images.dtype)
    return colour + spread * drawn.to(images.device)


def blurred(images: Tensor) -> Tensor:
    """(N, C, H, W) images smoothed by a Gaussian of an eighth of their shorter side, edges repeated."""
    if images.ndim != 4:
        raise UsageError(
            f"images (N, C, H, W) can be blurred, but an input has shape {tuple(images.shape)}; give a number or a "
            "tensor for a baseline."
        )
    sigma = max(min(images.shape[2:]) * _BLUR, 1e-3)
    reach = ceil(_REACH * sigma)
    along = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (along / sigma) ** 2)
    weights = (weights / weights.sum()).to(images)
    channels = images.shape[1]
    padded = functional.pad(images.contiguous(), [reach] * 4, mode="replicate")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        padded = functional.conv2d(padded, weights.view(shape).expand(channels, *[-1] * 3), groups=channels)
    return padded


NAMED: dict[str, Callable[[Tensor], Tensor]] = {"mean": mean_colour, "blur": blurred, "noise": noise}


def baselines_of(given: Baseline | Sequence[Baseline] | None) -> tuple[Baseline, ...]:
    """What a user gave, as a tuple; empty for None.

    Raises
    ------
    UsageError
        If one is nothing that can be a baseline.
    """
    if given is None:
        return ()
    several = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for one in several:
        known = (
            one in NAMED if isinstance(one, str) else callable(one) or isinstance(one, (int, float, Tensor))
        )
        if not known:
            raise UsageError(
                f"a baseline is {one!r}, but must be {', '.join(map(repr, NAMED))}, a number, a tensor, a callable "
                "that makes one of the inputs, or a list of those."
            )
    if not several:
        raise UsageError("the list of baselines is empty; give one at least, or leave baseline out.")
    return several


def inputs_of(baseline: Baseline, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The baseline of each input of a batch, in its shape.

    Raises
    ------
    UsageError
        If it does not fit.
    """
    return tuple(_input_of(baseline, tensor) for tensor in batch)


def _input_of(baseline: Baseline, tensor: Tensor) -> Tensor:
    make = NAMED[baseline] if isinstance(baseline, str) else baseline
    made = make(tensor) if callable(make) else make
    made = torch.as_tensor(made, dtype=tensor.dtype, device=tensor.device)
    try:
        found = made.expand_as(tensor)
    except RuntimeError:
        raise UsageError(
            f"a baseline has shape {tuple(made.shape)}, but must be the input's, {tuple(tensor.shape)}, or one that "
            "spreads to it."
        ) from None
    if not bool(found.isfinite().all()):
        raise UsageError("a baseline has numbers that are not finite; give finite ones.")
    return found


def averaged(found: Sequence[Relevance]) -> Relevance:
    """The mean relevance of the same images against several baselines."""
    if len(found) == 1:
        return found[0]

    def mean(tensors: Sequence[Tensor]) -> Tensor:
        return reduce(add, tensors) / len(tensors)

    def shares(
        parts: Sequence[dict[str, Tensor]], wholes: Sequence[Tensor], whole: Tensor
    ) -> dict[str, Tensor]:
        known = torch.where(whole == 0, 1, whole)
        return {
            name: mean([part[name] * each for part, each in zip(parts, wholes)]) / known for name in parts[0]
        }

    explained = [one.explained for one in found]
    sizes = [each.abs() for each in explained]
    total = mean(explained)
    return replace(
        found[0],
        explained=total,
        inputs=tuple(mean(several) for several in zip(*(one.inputs for one in found))),
        layers={name: mean([one.layers[name] for one in found]) for name in found[0].layers},
        conservation=shares([one.conservation for one in found], sizes, total.abs()),
        cumulative=shares([one.cumulative for one in found], explained, total),
    )
