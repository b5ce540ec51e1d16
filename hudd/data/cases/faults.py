"""Known causes of failure, injected into images: light digits on a dark ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hudd.data.cases.case import Arrays

Injector = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(image, sigma * image.shape[0])
    return blurred


def _noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return image + rng.normal(0, deviation, image.shape)


def _patch(image: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Lay a bright square over a point of the stroke, so that it always hides some."""
    covered, place = image.copy(), patch_place(image, side, rng)
    covered[place] = rng.uniform(0.75, 1.0)
    return covered


def patch_place(image: np.ndarray, side: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw where a patch lies.

    Parameters
    ----------
    image : numpy.ndarray
        (H, H) in 0 to 1, before it is corrupted.
    side : float
        Magnitude of the cause "patch": share of the image's side.
    rng : numpy.random.Generator
        In the state in which the patch is, or was, injected.

    Returns
    -------
    tuple of slice
        Rows and columns.
    """
    size = round(side * image.shape[0])
    stroke = np.argwhere(image > 0.5)
    row, column = np.clip(stroke[rng.integers(len(stroke))] - size // 2, 0, image.shape[0] - size)
    return slice(row, row + size), slice(column, column + size)


def _rotate(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    rotated: np.ndarray = ndimage.rotate(image, degrees, reshape=False, order=1)
    return rotated


def _stretch(image: np.ndarray, contrast: float, rng: np.random.Generator) -> np.ndarray:
    return 0.5 + contrast * (image - 0.5)


def _darken(image: np.ndarray, brightness: float, rng: np.random.Generator) -> np.ndarray:
    return image * brightness


@dataclass(frozen=True)
class Cause:
    """One way of corrupting an image.

    Attributes
    ----------
    inject : callable
        ``inject(image in 0..1, magnitude, rng)`` returns the corrupted image.
    parameter : str
        What the magnitude is called.
    neutral, mild, severe : float
        Magnitude of an untouched image, and the range drawn from. Lengths are shares of the image's side, brightness,
        contrast and noise shares of full range, angles degrees.
    either_sign : bool
        The magnitude may be negative as well.
    """

    inject: Injector
    parameter: str
    neutral: float
    mild: float
    severe: float
    either_sign: bool = False


CAUSES: dict[str, Cause] = {
    "blur": Cause(_blur, "blur", 0, 0.085, 0.13),
    "noise": Cause(_noise, "noise", 0, 0.5, 0.75),
    "patch": Cause(_patch, "patch", 0, 0.38, 0.5),
    "rotation": Cause(_rotate, "rotation", 0, 40, 80, either_sign=True),
    "inverted": Cause(_stretch, "contrast", 1, -0.6, -1),
    "low-light": Cause(_darken, "brightness", 1, 0.065, 0.04),
}


def inject(images: np.ndarray, per_cause: int, rng: np.random.Generator) -> tuple[np.ndarray, Arrays]:
    """Corrupt `per_cause` images by each cause and leave the others as they are.

    Parameters
    ----------
    images : numpy.ndarray
        (N, H, W) uint8, light on dark, N > ``per_cause * len(CAUSES)``.
    per_cause : int
        Images to corrupt by each cause; which ones is drawn.
    rng : numpy.random.Generator
        Source of all that is drawn.

    Returns
    -------
    images : numpy.ndarray
        (N, H, W) uint8.
    columns : dict
        ``cause`` ("none" for an untouched image), ``severity`` (0 untouched, otherwise in (0, 1]) and the
        magnitude of every cause under its parameter's name.
    """
    corrupted = images.copy()
    cause = np.full(len(images), "none", dtype="<U10")
    severity = np.zeros(len(images))
    magnitudes = {kind.parameter: np.full(len(images), float(kind.neutral)) for kind in CAUSES.values()}
    order = rng.permutation(len(images))
    for position, (name, kind) in enumerate(CAUSES.items()):
        for row in order[position * per_cause : (position + 1) * per_cause]:
            share = 1 - rng.random()  # in (0, 1]
            sign = rng.choice((-1, 1)) if kind.either_sign else 1
            magnitude = sign * (kind.mild + share * (kind.severe - kind.mild))
            values = kind.inject(images[row] / 255, magnitude, rng)
            corrupted[row] = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
            cause[row], severity[row], magnitudes[kind.parameter][row] = name, share, magnitude
    return corrupted, {"cause": cause, "severity": severity, **magnitudes}


def corrupted_splits(
    images: np.ndarray,
    labels: np.ndarray,
    sizes: tuple[int, int],
    per_cause: int,
    seed: int,
) -> dict[str, Arrays]:
    """Share digits out to clean training, corrupted test and corrupted improvement sets.

    Parameters
    ----------
    images : numpy.ndarray
        (N, H, W) uint8.
    labels : numpy.ndarray
        (N,) digits.
    sizes : (int, int)
        Images for training and for the test; the rest is the improvement set.
    per_cause : int
        Images to corrupt by each cause in each corrupted set.
    seed : int
        Seed of the shares and of what is injected.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    parts = np.split(order, np.cumsum(sizes))
    splits: dict[str, Arrays] = {}
    for name, rows in zip(("train", "test", "improvement"), parts):
        corrupted, columns = inject(images[rows], 0 if name == "train" else per_cause, rng)
        splits[name] = {
            "images": corrupted,
            "labels": labels[rows].astype(np.int64),
            "class_names": np.array([str(digit) for digit in range(10)]),
            **columns,
        }
    return splits
