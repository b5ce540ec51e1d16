"""What the compiled core adds up of images against NumPy and SciPy, bit for bit, on every instruction set."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hudd import _core
from hudd.attributes import statistics
from hudd.attributes.base import Pictures


def flat(values):
    return np.ascontiguousarray(values).reshape(len(values), -1)


def sums(values):
    """Of each row, added by pairs as NumPy does; versions differ for rows of more than 8,192 numbers."""
    count = values.shape[1]
    if count < 8:
        return reduce(np.add, values.T)
    if count > 128:
        half = count // 2 - count // 2 % 8
        return sums(values[:, :half]) + sums(values[:, half:])
    lanes = reduce(np.add, [values[:, at : at + 8] for at in range(0, count - count % 8, 8)]).T
    pairs = [lanes[at] + lanes[at + 1] for at in range(0, 8, 2)]
    rest = values[:, count - count % 8 :].T
    return reduce(np.add, rest, (pairs[0] + pairs[1]) + (pairs[2] + pairs[3]))


def means(values):
    return sums(values) / np.float32(values.shape[1])


def at_share(values, share):
    return np.sort(values, axis=1)[:, int(share * (values.shape[1] - 1))]


def light_of(colour, grey, around):
    planes = [flat(colour[..., channel]) for channel in range(3)]
    most, least = reduce(np.maximum, planes), reduce(np.minimum, planes)
    dark = ndimage.minimum_filter(least.reshape(grey.shape), (1, around, around), mode="reflect")
    grey = flat(grey)
    return [
        means(grey), np.sqrt(means((grey - means(grey)[:, None]) ** 2)), means(most - least), means(most),
        *(means(plane) for plane in planes), at_share(grey, 0.99), (grey >= 0.98).sum(axis=1),
        at_share(flat(dark), 0.05),
    ]  # fmt: skip


def frame_of(grey):
    sides = (1, 3, 3)
    least, most = (filter_(grey, sides) for filter_ in (ndimage.minimum_filter, ndimage.maximum_filter))
    even = most - least <= np.float32(1.5 / 255)
    edges = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]]
    middle = np.median(np.concatenate(edges, axis=1), axis=1)[:, None, None]
    inside = even & (np.abs(grey - middle) > np.float32(0.05))
    pieces = [np.bincount(ndimage.label(one)[0].ravel())[1:] for one in inside]
    return [flat(even).sum(axis=1), [sizes.max(initial=0) for sizes in pieces]]


def running_mean(grey, axis):
    """Of five, each sum from the one before, in double."""
    around = [(0, 0)] * 3
    around[axis] = (2, 2)
    lines = np.moveaxis(np.pad(grey.astype(np.float64), around, mode="symmetric"), axis, 0)
    sums = [reduce(np.add, lines[:5])]
    for gone, come in zip(lines, lines[5:]):
        sums.append(sums[-1] + (come - gone))
    return np.moveaxis((np.array(sums) / 5).astype(np.float32), 0, axis)


def detail_of(grey):
    found, blocks = [], []
    for axis in (1, 2):
        smooth = running_mean(grey, axis)
        steps = np.abs(np.diff(grey, axis=axis))
        found += [sums(flat(steps)), sums(flat(np.abs(np.diff(smooth, axis=axis))))]
        border = np.arange(steps.shape[axis]) % 8 == 7
        if min(grey.shape[1:]) >= 24:
            blocks += [means(flat(np.compress(kept, steps, axis))) for kept in (border, ~border)]
    mask = np.array([1, -2, 1], np.float32)
    noise = ndimage.correlate1d(ndimage.correlate1d(grey, mask, axis=1), mask, axis=2)[:, 1:-1, 1:-1]
    found += [np.median(np.abs(flat(noise)), axis=1), *(blocks or [np.zeros(len(grey))] * 4)]
    slope, smooth = np.array([-1, 0, 1], np.float32), np.array([1, 2, 1], np.float32)
    down = ndimage.correlate1d(ndimage.correlate1d(grey, slope, axis=1), smooth, axis=2)
    right = ndimage.correlate1d(ndimage.correlate1d(grey, slope, axis=2), smooth, axis=1)
    energy, square, both = (flat(one) for one in (right**2 + down**2, right**2 - down**2, 2 * right * down))
    with np.errstate(divide="ignore", invalid="ignore"):
        fourfold = np.nan_to_num((square + 1j * both) ** 2 / energy).sum(axis=1)
    return [*found, *map(sums, (energy, square, both)), fourfold.real, fourfold.imag]


KINDS = ("noise", "scene", "even", "black")


def pixels_of(kind, shape, seed):
    rng = np.random.default_rng(seed)
    if kind in ("even", "black"):
        return np.full(shape, 0 if kind == "black" else rng.integers(0, 256), np.uint8)
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    if kind == "scene":
        pixels = ndimage.uniform_filter(pixels, (5, 5, 1))
        pixels[: shape[0] // 3, : shape[1] // 2] = rng.integers(0, 256)
        pixels[-shape[0] // 4 :, shape[1] // 3 :] = 255
    return pixels


SIDES = st.one_of(st.integers(1, 30), st.integers(60, 66), st.integers(126, 140))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), SIDES, SIDES, st.integers(0, 999))
def test_statistics(instruction_set, kinds, height, width, seed):
    pictures = Pictures([pixels_of(kind, (height, width, 3), seed + at) for at, kind in enumerate(kinds)])
    colour, grey = pictures.coarse, pictures.coarse_grey
    weights = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    parts = [weight * colour[..., channel] for channel, weight in enumerate(weights)]
    np.testing.assert_array_equal(grey, parts[0] + parts[1] + parts[2])
    around = max(1, round(max(grey.shape[1:]) / 16))
    np.testing.assert_array_equal(statistics.light(colour, grey, around), light_of(colour, grey, around))
    np.testing.assert_array_equal(statistics.frame(grey), frame_of(grey))
    fine = pictures.fine_grey
    if min(fine.shape[1:]) >= 3:
        found, wanted = statistics.detail(fine), detail_of(fine)
        np.testing.assert_array_equal(found[:12], wanted[:12])
        # NumPy squares complex numbers with one rounding less where the processor can.
        scale = 1e-6 * found[9] + 1e-30
        assert (np.abs(found[12:] - wanted[12:]) <= scale).all()


def test_what_the_core_is_given_is_checked():
    colour, grey = np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 4, 5), np.float32)

    def refused(said, call, *arrays):
        handed = [one.__dlpack__() if isinstance(one, np.ndarray) else one for one in arrays]
        with pytest.raises(ValueError, match=said):
            call(*handed)

    refused("'out' must have shape", _core.picture_luma, colour, np.zeros((2, 4, 4), np.float32))
    refused("'colour' must be", _core.picture_luma, colour[..., :1].copy(), grey)
    refused("'grey' must have shape", _core.picture_light, colour, grey[:1], 2, np.zeros((2, 10), np.float32))
    refused("'around' must be 1 to", _core.picture_light, colour, grey, 0, np.zeros((2, 10), np.float32))
    refused("'out' must have shape", _core.picture_frame, grey, np.zeros((2, 3), np.float32))
    refused(
        "of 3 to 192 pixels a side", _core.picture_detail, grey[:, :2].copy(), np.zeros((2, 14), np.float32)
    )
    large = np.zeros((1, 3, 193), np.float32)
    refused("of 1 to 192 pixels a side", _core.picture_frame, large, np.zeros((1, 2), np.float32))


def test_numbers_that_no_image_has_are_no_danger(instruction_set):
    """Levels are 0 to 1; of others the statistics are not told, and no memory is read or written besides."""
    for level in (-1.0, -0.0, np.nan, np.inf):
        grey = np.full((2, 24, 24), level, np.float32)
        assert statistics.frame(grey).shape == (2, 2)
        assert statistics.detail(grey).shape == (14, 2)
        assert statistics.light(np.repeat(grey[..., None], 3, axis=-1), grey, 2).shape == (10, 2)
