"""Attributes: how bright the corners of an image are."""

from collections.abc import Mapping

import numpy as np

from hudd.extend import Attribute, Pictures


class Corner:
    """The top left corner."""

    attributes = (Attribute("corner", "luma of the first pixel", low="dark corner", high="bright corner"),)

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        return {"corner": pictures.coarse_grey[:, 0, 0]}
