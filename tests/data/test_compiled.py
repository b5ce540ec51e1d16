"""What the compiled core makes of images against NumPy, bit for bit, on every instruction set."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd import _core
from hudd.data import Transform
from hudd.data.prints import prints_of


def images_of(count, height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def thumbnail_of(image):
    """As NumPy's reductions add, which the first prints were made by."""
    height, width = image.shape[:2]
    image = image[:: -(-height // 96), :: -(-width // 96)].astype(np.float32)
    grey = (image[..., 0] + image[..., 1] + image[..., 2]) / np.float32(3)
    for axis, fields in ((0, 8), (1, 9)):
        edges = np.arange(fields + 1) * grey.shape[axis] // fields
        counts = np.maximum(np.diff(edges), 1).astype(np.float32)
        sums = np.add.reduceat(grey, edges[:-1], axis=axis)
        grey = sums / (counts[:, None] if axis == 0 else counts)
    return np.round(grey).astype(np.uint8)


SIZES = st.one_of(st.integers(1, 24), st.integers(60, 100), st.integers(180, 200))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 11), SIZES, SIZES, st.integers(0, 999))
def test_prints(instruction_set, count, height, width, seed):
    images = images_of(count, height, width, seed)
    found = prints_of(list(images))
    for image, pixels, thumbnail in zip(images, found.pixels, found.thumbnail):
        message = image.tobytes() + f"{height}x{width}".encode()
        digest = hashlib.blake2b(message, digest_size=16).digest()
        assert pixels.astype(">u8").tobytes() == digest
        np.testing.assert_array_equal(thumbnail, thumbnail_of(image))
    images.flags.writeable = False
    np.testing.assert_array_equal(
        prints_of(images[:, ::-1]).pixels[-1], prints_of(images[-1:, ::-1]).pixels[0]
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.3, (0.485, 0.456, 0.406), (0.0, 0.1, 0.0)]),
    st.sampled_from([1.0, 0.25, (0.229, 0.224, 0.225), (1.0, 1.0, 3.0)]),
    st.sampled_from([1 / 255, 1.0, 1e-30]),
)
def test_planes(instruction_set, count, height, width, mean, std, scale):
    images = images_of(count, height, width, count * height + width)
    found = Transform(mean=mean, std=std, scale=scale).many(images).numpy()
    values = images.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(scale)
    values -= np.asarray(mean, np.float32).reshape(-1, 1, 1)
    values /= np.asarray(std, np.float32).reshape(-1, 1, 1)
    np.testing.assert_array_equal(found, values)
    assert found.flags.c_contiguous


def test_grey_images_have_the_prints_of_colour_images_that_look_the_same():
    colour = np.repeat(images_of(5, 30, 41, 0)[..., :1], 3, axis=3)
    grey = prints_of(list(colour[..., 0]))
    found = prints_of(list(colour))
    np.testing.assert_array_equal(found.pixels, grey.pixels)
    np.testing.assert_array_equal(found.thumbnail, grey.thumbnail)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((2, 4, 5, 3), (2, 2), (2, 8, 8)), "'thumbnails' must have shape \\(2, 8, 9\\)"),
        (((2, 4, 5, 3), (3, 2), (2, 8, 9)), "'pixels' must have shape \\(2, 2\\)"),
        (((2, 4, 5, 1), (2, 2), (2, 8, 9)), "'images' must be \\(count, height, width, 3\\)"),
        (((2, 0, 5, 3), (2, 2), (2, 8, 9)), "'images' must be \\(count, height, width, 3\\)"),
    ],
)
def test_the_core_checks_what_it_is_given(shapes, said):
    arrays = [np.zeros(shape, dtype) for shape, dtype in zip(shapes, (np.uint8, np.uint64, np.uint8))]
    with pytest.raises(ValueError, match=said):
        _core.image_prints(*(array.__dlpack__() for array in arrays))
    with pytest.raises(ValueError, match="'out' must"):
        _core.image_planes(
            np.zeros((1, 4, 5, 3), np.uint8).__dlpack__(), np.zeros((1, 3, 4, 4), np.float32).__dlpack__(), 1.0,
            [0.0] * 3, [1.0] * 3,
        )  # fmt: skip
