"""Light and colour."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from hudd.attributes.base import Attribute, Pictures, per_image

_LITTLE = 1 / 255


class Light:
    """How bright, how coloured, how hazy.

    The dark channel is that of K. He, J. Sun and X. Tang, "Single image haze removal using dark channel prior", CVPR
    2009, with fields of a sixteenth of the image's longer side.
    """

    attributes = (
        Attribute("luminance", "mean luma", low="dark images", high="bright images"),
        Attribute("contrast", "standard deviation of the luma", low="low contrast", high="high contrast"),
        Attribute(
            "saturation",
            "mean of the largest less the smallest channel, over the mean of the largest",
            low="pale colours",
            high="saturated colours",
        ),
        Attribute("colour_cast", "largest less smallest channel mean, over their mean", high="colour cast"),
        Attribute(
            "warmth", "mean red less mean blue, over the mean of the channels", low="bluish", high="reddish"
        ),
        Attribute("peak", "luma that a hundredth of the image exceeds", low="dark images"),
        Attribute("glare", "share of the image with a luma of at least 0.98", high="glare"),
        Attribute("haze", "dark channel that is exceeded in 95 % of the image", high="haze"),
    )

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        """Measure."""
        colour, grey = pictures.coarse, per_image(pictures.coarse_grey)
        planes = [per_image(colour[..., channel]) for channel in range(3)]
        most, least = reduce(np.maximum, planes), reduce(np.minimum, planes).reshape(colour.shape[:3])
        means = np.stack([plane.mean(axis=1) for plane in planes], axis=1)
        mean = means.mean(axis=1) + _LITTLE
        side = max(1, round(max(least.shape[1:]) / 16))
        dark = _least_around(_least_around(least, side, 1), side, 2)
        return {
            "luminance": grey.mean(axis=1),
            "contrast": grey.std(axis=1),
            "saturation": (most - per_image(least)).mean(axis=1) / (most.mean(axis=1) + _LITTLE),
            "colour_cast": np.ptp(means, axis=1) / mean,
            "warmth": (means[:, 0] - means[:, 2]) / mean,
            "peak": _at_share(grey, 0.99),
            "glare": (grey >= 0.98).mean(axis=1),
            "haze": _at_share(per_image(dark), 0.05),
        }


def _least_around(values: np.ndarray, side: int, axis: int) -> np.ndarray:
    """The least of `side` neighbours along an axis, mirrored at its ends; SciPy's filter takes four times as long."""
    around = [(0, 0)] * values.ndim
    around[axis] = (side // 2, side - 1 - side // 2)
    padded = np.moveaxis(np.pad(values, around, mode="symmetric"), axis, 0)
    width = 1
    while width < side:  # each is the least of `width` values from here on
        step = min(width, side - width)
        padded, width = np.minimum(padded[:-step], padded[step:]), width + step
    return np.moveaxis(padded, 0, axis)


def _at_share(values: np.ndarray, share: float) -> np.ndarray:
    """The value of each row that this share of its values does not exceed."""
    place = int(share * (values.shape[1] - 1))
    found: np.ndarray = np.partition(values, place, axis=1)[:, place]
    return found
