"""Light and colour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hudd.attributes import statistics
from hudd.attributes.base import Attribute, Pictures

_LITTLE = 1 / 255


class Light:
    """How bright, how coloured, how hazy.

    The dark channel is that of K. He, J. Sun and X. Tang, "Single image haze removal using dark channel prior", CVPR
    2009, with fields of a sixteenth of the image's longer side.
    """

    attributes = (
        Attribute("luminance", "mean luma", low="dark images", high="bright images"),
        Attribute(
            "contrast",
            "standard deviation of the luma",
            low="low contrast",
            high="high contrast",
            general=True,
        ),
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
        Attribute("peak", "luma that a hundredth of the image exceeds", low="dark images", general=True),
        Attribute("glare", "share of the image with a luma of at least 0.98", high="glare"),
        Attribute("haze", "dark channel that is exceeded in 95 % of the image", high="haze"),
    )

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        """Measure."""
        grey = pictures.coarse_grey
        around = max(1, round(max(grey.shape[1:]) / 16))
        mean, deviation, spread, most, *channels, peak, glare, haze = statistics.light(
            pictures.coarse, grey, around
        )
        means = np.stack(channels, axis=1)
        level = means.mean(axis=1) + _LITTLE
        return {
            "luminance": mean,
            "contrast": deviation,
            "saturation": spread / (most + _LITTLE),
            "colour_cast": np.ptp(means, axis=1) / level,
            "warmth": (means[:, 0] - means[:, 2]) / level,
            "peak": peak,
            "glare": glare / float(grey[0].size),
            "haze": haze,
        }
