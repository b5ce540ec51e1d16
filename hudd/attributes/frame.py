"""Size and shape of the image, and areas that show nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hudd.attributes import statistics
from hudd.attributes.base import Attribute, Pictures


class Frame:
    """Width and height as decoded, and areas of one grey level: within 1.5 of 255 levels of all neighbours.

    An area counts as covered if it is flat, of one piece, and of another grey level than the edge of the image.
    """

    attributes = (
        Attribute("width", "width of the image", "px", low="small images", high="large images"),
        Attribute("height", "height of the image", "px", low="small images", high="large images"),
        Attribute(
            "size", "geometric mean of width and height", "px", low="small images", high="large images"
        ),
        Attribute("aspect", "width over height", low="tall images", high="wide images"),
        Attribute(
            "constant",
            "share of the image without a difference to its neighbours",
            low="detail everywhere",
            high="large even areas",
            general=True,
        ),
        Attribute(
            "covered",
            "share of the image in its largest flat piece of another grey level than its edge",
            high="covered images",
        ),
    )

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        """Measure."""
        height, width = pictures.images[0].shape[:2]
        flat, covered = statistics.frame(pictures.coarse_grey)
        size = pictures.coarse_grey[0].size
        ones = np.ones(len(pictures))
        return {
            "width": width * ones,
            "height": height * ones,
            "size": np.sqrt(width * height) * ones,
            "aspect": width / height * ones,
            "constant": flat / size,
            "covered": covered / size,
        }
