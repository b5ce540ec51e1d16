"""Moments of the image itself: how bright, sharp and noisy it is where the network looks, and overall.

Noise, blur or darkness may hardly show in the activations of a network that was not trained on them. Derivatives at
four scales show them without training (compare the image statistics of J. Portilla, E. Simoncelli, IJCV 40(1), 2000).
docs/root-cause-quality.md has the measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hudd.features.moments import Block, MomentsWeighted, channel_moments, weighted_moments
from hudd.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Tensor

_SCALES = 4
_ROOT = 0.25  # power that makes moments of derivatives nearly symmetric, as a logarithm would, and allows 0
_OF_NETWORK, _OF_IMAGE = 75, 100  # numbers of an image at most
_LEAST = 3  # pixels of a side of which a second derivative can be taken


def derivatives(grey: Tensor) -> Tensor:
    """Return first and second differences of neighbouring pixels in several directions.

    Parameters
    ----------
    grey : Tensor, (N, 1, H, W)
        Images of one channel, continued over their edge by the pixels there.

    Returns
    -------
    Tensor, (N, 7, H, W)
        Half the differences along rows, columns and both diagonals; second differences along rows and columns, and
        their sum.
    """
    around = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    left, right = around[..., 1:-1, :-2], around[..., 1:-1, 2:]
    up, down = around[..., :-2, 1:-1], around[..., 2:, 1:-1]
    first = (
        right - left,
        down - up,
        around[..., 2:, 2:] - around[..., :-2, :-2],
        around[..., 2:, :-2] - around[..., :-2, 2:],
    )
    across, along = left + right - 2 * grey, up + down - 2 * grey
    return torch.cat((*(difference / 2 for difference in first), across, along, across + along), 1)


def image_moments(images: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return mean and deviation over space of the channels of an image, and of its derivatives at several scales.

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Derivatives are those of the mean of the channels, which is halved in size from scale to scale.
    weights : Tensor, (N, C', H, W), optional
        Relevance; places weigh as in :func:`hudd.features.moments.weighted_moments`. By default all weigh the same.

    Returns
    -------
    Tensor, (N, 2 C + 14 s) float32
        Of the s scales, four at most, whose sides have three pixels or more. Moments of magnitudes of derivatives to
        the power of 1/4: of an image that is scaled all change by the same factor.
    """
    grey, found = images.float().mean(1, keepdim=True), [_moments(images, weights)]
    for _ in range(_SCALES):
        if min(grey.shape[2:]) < _LEAST:
            break
        found.append(_moments(derivatives(grey).abs(), weights) ** _ROOT)
        grey = functional.avg_pool2d(grey, 2)
        weights = None if weights is None else functional.avg_pool2d(weights.float().abs(), 2)
    return torch.cat(found, 1)


def _moments(values: Tensor, weights: Tensor | None) -> Tensor:
    return channel_moments(values) if weights is None else weighted_moments(values, weights)


class MomentsImage(MomentsWeighted):
    """Moments of activations as :class:`MomentsWeighted` has them, some of the map, and moments of the image.

    The image is described as the network's layers are: by moments weighted by relevance and, with half their variance,
    by moments over all places, see :func:`image_moments`. Network and image are contrasted separately and give 75 and
    100 numbers, so that neither dominates. For causes that depend on position the last activation has a sixteenth of
    the variance of the network's moments. Relevance is that of the first of the layers, resized to the image; where it
    has no axes of space, all places have the same weight. Inputs other than (N, C, H, W) have no moments of the image.
    """

    description = (
        "channel moments of activations and of the image, weighted by relevance, against correctly classified "
        "images"
    )
    map_deviation = 0.25
    _sees = False  # whether inputs are images

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """As :meth:`Moments.prepare`."""
        self._sees = example.ndim == 4
        return super().prepare(example)

    def _groups(self, inputs: Tensor, relevance: dict[str, Tensor]) -> list[Tensor]:
        """What :class:`MomentsWeighted` gives, then moments of the image, weighted by relevance and over all places."""
        groups = super()._groups(inputs, relevance)
        if not self._sees:
            return groups
        first, weights = next(iter(relevance.values())), None
        if first.ndim == 4:
            weights = first.float().abs().sum(1, keepdim=True)
            if weights.shape[2:] != inputs.shape[2:]:
                weights = functional.interpolate(weights, inputs.shape[2:], mode="bilinear")
        return [*groups, image_moments(inputs, weights), image_moments(inputs)]

    def _blocks(self, groups: int) -> list[Block]:
        if not self._sees:
            return super()._blocks(groups)
        [(shares, _)] = super()._blocks(groups - 2)
        # As much variance as the network, which matters where there are no normal images to whiten by.
        each = sum(share for share in shares if share) / (1 + self.plain)
        return [(shares, _OF_NETWORK), ([each, self.plain * each], _OF_IMAGE)]
