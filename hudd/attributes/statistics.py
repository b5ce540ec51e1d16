"""What the compiled core adds up of images, in the thread that asks and without the GIL."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hudd import _core


def luma(pixels: np.ndarray) -> np.ndarray:
    """Return the luma (ITU-R BT.601), (n, h, w), of (n, h, w, 3) float32 RGB pixels."""
    grey = np.empty(pixels.shape[:-1], np.float32)
    _core.picture_luma(_handed(pixels), grey.__dlpack__())
    return grey


def light(colour: np.ndarray, grey: np.ndarray, around: int) -> np.ndarray:
    """Return (10, n) statistics of (n, h, w, 3) colours and (n, h, w) grey levels, float32.

    These are mean and standard deviation of the grey levels; mean of the largest less the smallest channel, and of the
    largest; mean of each channel; the level that a hundredth exceeds; how many are at least 0.98; and the least level
    within fields of `around` pixels a side that 95 % exceed.
    """
    return _numbers(
        10, len(grey), lambda out: _core.picture_light(_handed(colour), _handed(grey), around, out)
    )


def frame(grey: np.ndarray) -> np.ndarray:
    """Return (2, n): how many of (n, h, w) grey levels are flat, and how many the largest piece has that covers."""
    return _numbers(2, len(grey), lambda out: _core.picture_frame(_handed(grey), out))


def detail(grey: np.ndarray) -> np.ndarray:
    """Return (14, n) statistics of (n, h, w) grey levels, at least 3 a side, float32.

    These are the sums of differences down columns, of the image and after a running mean, and both along rows; the
    median of what the mask of noise finds; means of differences at the borders of blocks and within, down columns and
    along rows, of images of at least 24 pixels a side; and of the structure tensor the energy, cosine and sine of twice
    the gradient's angle, and cosine and sine of four times it.
    """
    return _numbers(14, len(grey), lambda out: _core.picture_detail(_handed(grey), out))


def _handed(values: np.ndarray) -> object:
    return np.ascontiguousarray(values).__dlpack__()


def _numbers(each: int, count: int, measure: Callable[[object], None]) -> np.ndarray:
    found = np.zeros((count, each), np.float32)
    measure(found.__dlpack__())
    return np.ascontiguousarray(found.T)
