"""Sharpness, noise, blocks of compression, and the direction of edges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hudd.attributes.base import Attribute, Pictures, per_image
from hudd.lazy import ndimage

_LITTLE = 1e-6
_SMOOTHING = 5  # pixels over which sharpness compares the image with its own mean
_NOISE = np.array([1, -2, 1], np.float32)
_GAUSSIAN = 6 * 0.67449  # norm of Immerkaer's mask; median of the absolute value of a standard normal number
_BLOCK = 8


class Detail:
    """What the middle of the image shows pixel by pixel.

    Sharpness compares the differences of neighbours with those after a running mean, in each direction by itself (F.
    Crete et al., "The blur effect", SPIE 6492, 2007): it does not depend on contrast. Noise is measured by the mask of
    J. Immerkaer, "Fast noise variance estimation", CVIU 64(2), 1996, with the median in place of the mean, which lines
    and edges do not raise. Direction and coherence of edges are those of the structure tensor.
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
        down, across = (_sharpness(grey, axis) for axis in (1, 2))
        found["sharpness"] = (down + across) / 2
        found["blur_direction"] = across - down
        masked = ndimage.correlate1d(ndimage.correlate1d(grey, _NOISE, axis=1), _NOISE, axis=2)
        found["noise"] = np.median(np.abs(per_image(masked[:, 1:-1, 1:-1])), axis=1) / _GAUSSIAN
        if min(grey.shape[1:]) >= 3 * _BLOCK:
            found["blockiness"] = _blockiness(grey)
        found["coherence"], found["tilt"], found["skew"] = _directions(grey)
        return found


def _sharpness(grey: np.ndarray, axis: int) -> np.ndarray:
    smooth = ndimage.uniform_filter1d(grey, _SMOOTHING, axis=axis)
    own, smoothed = (per_image(np.abs(np.diff(image, axis=axis))).sum(axis=1) for image in (grey, smooth))
    sharp: np.ndarray = np.where(own > _LITTLE, 1 - smoothed / np.maximum(own, _LITTLE), np.nan)
    return sharp


def _blockiness(grey: np.ndarray) -> np.ndarray:
    ratios = []
    for axis in (1, 2):
        steps = np.abs(np.diff(grey, axis=axis))
        border = np.arange(steps.shape[axis]) % _BLOCK == _BLOCK - 1
        at, within = (per_image(np.compress(kept, steps, axis)).mean(axis=1) for kept in (border, ~border))
        ratios.append(np.log((at + 1e-3) / (within + 1e-3)))
    mean: np.ndarray = (ratios[0] + ratios[1]) / 2
    return mean


def _directions(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coherence of the edges, and their direction modulo 180 and 90 degrees; NaN where there are none."""
    smooth = np.array([1, 2, 1], np.float32)
    slope = np.array([-1, 0, 1], np.float32)
    down = ndimage.correlate1d(ndimage.correlate1d(grey, slope, axis=1), smooth, axis=2)
    right = ndimage.correlate1d(ndimage.correlate1d(grey, slope, axis=2), smooth, axis=1)
    square, both = per_image(right**2 - down**2), per_image(2 * right * down)
    energy = per_image(right**2 + down**2)
    total = energy.sum(axis=1)
    cosine, sine = square.sum(axis=1), both.sum(axis=1)  # of twice the gradient's angle
    strong = total > _LITTLE
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of four times the angle: energy-weighted like the sums above.
        quarter = np.nan_to_num((square + 1j * both) ** 2 / energy).sum(axis=1)
        coherence = np.hypot(cosine, sine) / total
    # The gradient stands across the edge: an upright edge has a level gradient, of angle 0. Rows run downwards, so
    # angles grow clockwise.
    tilt, skew = np.degrees(np.arctan2(sine, cosine)) / 2, np.degrees(np.angle(quarter)) / 4
    return tuple(np.where(strong, values, np.nan) for values in (coherence, tilt, skew))  # type: ignore[return-value]
