"""Patch flipping: how the output falls as patches are replaced, most and least relevant first.

Insertion is the area under the curve with the least relevant patches replaced first, so that the most relevant ones are
the last to be left; deletion that with the most relevant first. Their difference is the symmetric relevance gain
(Blücher et al. 2024, arXiv 2401.06654), what deletion takes from the whole image's output is AOPC (Samek et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the patches replaced, besides none and all
Score = Callable[[Tensor], Tensor]  # (N, C, H, W) to (N, K), K figures of each image


def fillings(images: Tensor) -> dict[str, Tensor]:
    """What patches are replaced by, (N, C, H, W) each: the set's mean colour, the blurred image, noise."""
    mean, spread = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return {
        "mean": mean.expand_as(images),
        "blur": blurred(images),
        "noise": mean + spread * noise,
    }


def blurred(images: Tensor) -> Tensor:
    """Images smoothed by a Gaussian of an eighth of their side."""
    sigma = images.shape[-1] / 8
    return torch.from_numpy(ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="nearest"))


def orders(maps: Tensor, size: int) -> Tensor:
    """Patches by falling relevance, (N, P) numbers in row-major order; equal ones come in an order drawn once.

    Parameters
    ----------
    maps : Tensor, (N, H, W)
        Relevance of pixels; a patch has their sum.
    size : int
        Side of a patch, which has to divide H and W.
    """
    if maps.shape[1] % size or maps.shape[2] % size:
        raise ValueError(f"patches of {size} pixels do not tile {maps.shape[1]} x {maps.shape[2]} pixels.")
    sums = functional.avg_pool2d(maps[:, None], size).flatten(1)
    drawn = torch.randperm(sums.shape[1], generator=torch.Generator().manual_seed(0))
    return drawn[sums[:, drawn].argsort(dim=1, descending=True, stable=True)]


def areas(
    score: Score,
    images: Tensor,
    filling: Tensor,
    order: Tensor,
    size: int,
    ends: tuple[Tensor, Tensor],
    shares: Sequence[float] = SHARES,
) -> tuple[Tensor, Tensor]:
    """Insertion and deletion of each image, (N, K) both.

    Parameters
    ----------
    score : callable
        The figures that fall.
    images, filling : Tensor, (N, C, H, W)
        The images, and what replaces their pixels.
    order : Tensor, (N, P)
        As :func:`orders` returns it.
    size : int
        Side of a patch.
    ends : tuple of Tensor
        ``score(images)`` and ``score(filling)``.
    shares : sequence of float
        Shares of the patches at which the curve has points, besides 0 and 1.
    """
    count = order.shape[1]
    place = order.argsort(1).view(len(images), 1, images.shape[2] // size, images.shape[3] // size)
    place = place.repeat_interleave(size, 2).repeat_interleave(size, 3)
    replaced = sorted({min(max(round(share * count), 1), count - 1) for share in shares})
    along = torch.tensor([0, *replaced, count]) / count

    def area(chosen: Callable[[int], Tensor]) -> Tensor:
        curve = [score(torch.where(chosen(number), filling, images)) for number in replaced]
        return torch.trapezoid(torch.stack([ends[0], *curve, ends[1]]), along, dim=0)

    return area(lambda number: place >= count - number), area(lambda number: place < number)
