"""Ways of spoiling an image, each with a severity from 0 (mild) to 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _between(mild: float, severe: float, severity: float) -> float:
    return mild + (severe - mild) * severity


def noise(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of each value."""
    return image + rng.normal(0, _between(0.05, 0.7, severity), image.shape)


def blur(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur, a share of the side."""
    sigma = _between(0.02, 0.16, severity) * len(image)
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")


def darkness(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A share of the light."""
    return image * _between(0.4, 0.02, severity)


def glare(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A bright spot around the middle."""
    return image + _between(0.6, 2.0, severity) * _spot(len(image), severity, rng)[..., None]


def _spot(side: int, severity: float, rng: np.random.Generator) -> np.ndarray:
    """How bright it is, as a share of its middle."""
    row, column = rng.uniform(0.3, 0.7, 2) * side
    rows, columns = np.ogrid[:side, :side]
    square = (rows - row) ** 2 + (columns - column) ** 2
    spot: np.ndarray = np.exp(-square / (2 * (_between(0.12, 0.35, severity) * side) ** 2))
    return spot


def occluder(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A plain square of any colour over part of the middle."""
    covered, place = image.copy(), _square(len(image), severity, rng)
    covered[place] = rng.uniform(0.2, 1.0, image.shape[2])
    return covered


def _square(side: int, severity: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Where it lies."""
    size = round(_between(0.25, 0.7, severity) * side)
    row, column = (np.clip(rng.uniform(0.3, 0.7) * side - size / 2, 0, side - size) for _ in range(2))
    return slice(int(row), int(row) + size), slice(int(column), int(column) + size)


def rotation(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A turn either way, by up to a right angle."""
    degrees = rng.choice((-1, 1)) * _between(20, 90, severity)
    return ndimage.rotate(image, degrees, reshape=False, order=1, mode="nearest")


def scale(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """The image shrunk, its border continued."""
    factor, middle = 1 / _between(0.85, 0.3, severity), (len(image) - 1) / 2
    offset = middle * (1 - factor)
    return ndimage.affine_transform(
        image, (factor, factor, 1), (offset, offset, 0), order=1, mode="nearest", output_shape=image.shape
    )


def inversion(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Contrast of the other sign."""
    return 0.5 + _between(-0.2, -1.0, severity) * (image - 0.5)


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (noise, blur, darkness, glare, occluder, rotation, scale, inversion)
}


def extent(name: str, side: int, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Where a glare or an occluder lies that is drawn by a generator in the same state, (side, side) bool.

    A glare reaches to half its brightness.
    """
    if name == "glare":
        return _spot(side, severity, rng) >= 0.5
    mask = np.zeros((side, side), bool)
    mask[_square(side, severity, rng)] = True
    return mask


def corrupt(
    images: np.ndarray, names: tuple[str, ...], severities: dict[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Spoil uint8 images (N, H, W, C) by each of `names` in turn, at a severity up to 0.2 above the one given."""
    spoiled = np.empty_like(images)
    for row, image in enumerate(images):
        values = image / 255
        for name in names:
            severity = severities[name] + 0.2 * rng.random()
            values = np.clip(CORRUPTIONS[name](values, severity, rng), 0, 1)
        spoiled[row] = np.round(values * 255)
    return spoiled
