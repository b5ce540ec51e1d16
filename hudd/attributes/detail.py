"""Sharpness, noise, blocks of compression, and the direction of edges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hudd.attributes import statistics
from hudd.attributes.base import Attribute, Pictures

_LITTLE = 1e-6
_GAUSSIAN = 6 * 0.67449  # norm of Immerkaer's mask; median of the absolute value of a standard normal number
_BLOCK = 8


class Detail:
    """What the middle of the image shows pixel by pixel.

    Sharpness compares the differences of neighbours with those after a running mean of five, in each direction by
    itself (F. Crete et al., "The blur effect", SPIE 6492, 2007): it does not depend on contrast. Noise is measured by
    the mask of J. Immerkaer, "Fast noise variance estimation", CVIU 64(2), 1996, with the median in place of the mean,
    which lines and edges do not raise. Direction and coherence of edges are those of the structure tensor.
    """

    attributes = (
        Attribute(
            "sharpness", "1 less the share of differences that a running mean keeps", low="blurred images"
        ),
        Attribute(
            "blur_direction",
            "sharpness across less sharpness along the image's height",
            low="blurred sideways",
            high="blurred up and down",
            away="blurred in one direction",
        ),
        Attribute("noise", "standard deviation of the noise, of full range", high="noisy images"),
        Attribute(
            "blockiness",
            "differences at the borders of 8 x 8 blocks over those inside, as a logarithm",
            high="compression blocks",
        ),
        Attribute(
            "coherence",
            "how far edges have one direction",
            low="edges of all directions",
            high="edges of one direction",
            general=True,
        ),
        Attribute(
            "tilt", "direction of most edges, from upright, clockwise", unit="deg", away="tilted images"
        ),
        Attribute(
            "skew",
            "direction of most edges, from upright or level, whichever is nearer",
            unit="deg",
            away="tilted images",
        ),
    )

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        """Measure."""
        grey = pictures.fine_grey
        found = {name: np.full(len(grey), np.nan) for name in (a.name for a in self.attributes)}
        if min(grey.shape[1:]) < 3:
            return found
        down, smooth_down, across, smooth_across, noise, *rest = statistics.detail(grey)
        sharp = _sharpness(down, smooth_down), _sharpness(across, smooth_across)
        found["sharpness"] = (sharp[0] + sharp[1]) / 2
        found["blur_direction"] = sharp[1] - sharp[0]
        found["noise"] = noise / _GAUSSIAN
        if min(grey.shape[1:]) >= 3 * _BLOCK:
            found["blockiness"] = (_ratio(*rest[:2]) + _ratio(*rest[2:4])) / 2
        found["coherence"], found["tilt"], found["skew"] = _directions(*rest[4:])
        return found


def _sharpness(own: np.ndarray, smoothed: np.ndarray) -> np.ndarray:
    sharp: np.ndarray = np.where(own > _LITTLE, 1 - smoothed / np.maximum(own, _LITTLE), np.nan)
    return sharp


def _ratio(at_borders: np.ndarray, within: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.log((at_borders + 1e-3) / (within + 1e-3))
    return ratio


def _directions(
    energy: np.ndarray,
    cosine: np.ndarray,
    sine: np.ndarray,
    fourfold_cosine: np.ndarray,
    fourfold_sine: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coherence of the edges, and their direction modulo 180 and 90 degrees; NaN where there are none."""
    strong = energy > _LITTLE
    with np.errstate(divide="ignore", invalid="ignore"):
        coherence = np.hypot(cosine, sine) / energy
    # The gradient stands across the edge: an upright edge has a level gradient, of angle 0. Rows run downwards, so
    # angles grow clockwise.
    tilt = np.degrees(np.arctan2(sine, cosine)) / 2
    skew = np.degrees(np.arctan2(fourfold_sine, fourfold_cosine)) / 4
    return tuple(np.where(strong, values, np.nan) for values in (coherence, tilt, skew))  # type: ignore[return-value]
