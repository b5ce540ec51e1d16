"""Size and shape of the image, and areas that show nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hudd.attributes.base import Attribute, Pictures, per_image
from hudd.lazy import ndimage

_FLAT = 1.5 / 255


class Frame:
    """Width and height as decoded, and areas of one grey level.

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
        grey = pictures.coarse_grey
        flat = _around(grey, np.maximum) - _around(grey, np.minimum) <= _FLAT
        ones = np.ones(len(pictures))
        return {
            "width": width * ones,
            "height": height * ones,
            "size": np.sqrt(width * height) * ones,
            "aspect": width / height * ones,
            "constant": per_image(flat).mean(axis=1),
            "covered": _covered(grey, flat),
        }


def _around(grey: np.ndarray, most: np.ufunc) -> np.ndarray:
    """The largest or smallest of each pixel and its eight neighbours; SciPy's filters take five times as long."""
    down = grey.copy()
    most(down[:, 1:], grey[:, :-1], out=down[:, 1:])
    most(down[:, :-1], grey[:, 1:], out=down[:, :-1])
    found = down.copy()
    most(found[:, :, 1:], down[:, :, :-1], out=found[:, :, 1:])
    most(found[:, :, :-1], down[:, :, 1:], out=found[:, :, :-1])
    return found


def _covered(grey: np.ndarray, flat: np.ndarray) -> np.ndarray:
    edges = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]]
    middle = np.median(np.concatenate(edges, axis=1), axis=1)[:, None, None]
    inside = flat & (np.abs(grey - middle) > 0.05)
    share = np.zeros(len(grey))
    for image in np.flatnonzero(inside.any(axis=(1, 2))):
        pieces, _ = ndimage.label(inside[image])
        share[image] = np.bincount(pieces.ravel())[1:].max() / inside[image].size
    return share
