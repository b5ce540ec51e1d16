"""How much a map changes when a little noise is added to the image (average and maximum sensitivity).

Yeh et al. 2019, arXiv 1901.09392; as in Quantus the change is a share of the size of the map.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

RADIUS = 0.02  # of the range of pixels
DRAWS = 5


def noisy(images: Tensor, span: float, draws: int = DRAWS) -> Iterator[Tensor]:
    """Images with uniform noise of up to ``RADIUS * span`` either way, drawn by a seed of its own."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(draws):
        yield images + RADIUS * span * (2 * torch.rand(images.shape, generator=draw) - 1)


def change(maps: Tensor, others: Tensor) -> Tensor:
    """Distance of each map, (N, H, W), to the other one as a share of its size, (N,); 1 where only that is 0."""
    a, b = (each.flatten(1).double() for each in (maps, others))
    size = torch.linalg.vector_norm(a, dim=1)
    distance = torch.linalg.vector_norm(a - b, dim=1)
    whole = torch.where(size > 0, size, distance)
    return torch.where(distance > 0, distance / whole, 0)
