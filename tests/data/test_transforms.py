import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hudd.data import Transform
from hudd.data.transforms import apply
from hudd.errors import UsageError

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (7, 9), dtype=np.uint8)


def test_scales_and_normalises_per_channel():
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    got = Transform(mean=mean, std=std)(COLOUR)
    expected = (COLOUR.transpose(2, 0, 1) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=2e-6)


def test_leaves_0_to_255_when_asked():
    np.testing.assert_array_equal(Transform(scale=1)(GREY).numpy(), GREY[None].astype(np.float32))


@pytest.mark.parametrize(
    ("image", "grayscale", "channels"),
    [(GREY, None, 1), (GREY[..., None], None, 1), (COLOUR, None, 3), (GREY, False, 3), (COLOUR, True, 1)],
)
def test_channels(image, grayscale, channels):
    assert Transform(grayscale=grayscale)(image).shape == (channels, 7, 9)


def test_grey_is_luma():
    expected = COLOUR @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(Transform(scale=1, grayscale=True)(COLOUR)[0].numpy(), expected, atol=0.6)


def test_resize_is_bilinear_with_antialiasing():
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    small = Transform(resize=(8, 16), scale=1)(ramp)
    assert small.shape == (1, 8, 16)
    # Averages of four columns each: the triangle filter is exact on a ramp, borders aside.
    np.testing.assert_allclose(
        small[0, :, 1:-1], np.tile(ramp[0].reshape(16, 4).mean(1)[1:-1], (8, 1)), atol=1.5
    )


def test_pillow_image_and_array_agree():
    transform = Transform(resize=(4, 4), mean=0.5, std=0.5)
    torch.testing.assert_close(transform(Image.fromarray(COLOUR)), transform(COLOUR), rtol=0, atol=0)


@given(st.integers(1, 5), st.booleans(), st.sampled_from([None, (3, 4)]))
def test_many_equals_one_by_one(count, grey, resize):
    images = np.random.default_rng(count).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    transform = Transform(resize=resize, grayscale=grey, mean=0.3, std=0.7)
    assert torch.equal(transform.many(images), torch.stack([transform(image) for image in images]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"resize": (0, 4)},
        {"resize": (4,)},
        {"std": 0},
        {"mean": (1, 2)},
        {"scale": -1},
        {"mean": float("nan")},
    ],
)
def test_refuses_unusable_values(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Transform(**wrong)


def test_refuses_floating_pixels():
    with pytest.raises(UsageError, match="float64"):
        Transform()(COLOUR / 255)


def test_a_foreign_transform_gets_a_pillow_image_and_must_return_a_tensor():
    def foreign(image):
        assert isinstance(image, Image.Image)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).double()

    assert apply(foreign, COLOUR, "x.png").dtype == torch.float32
    with pytest.raises(UsageError, match=r"ndarray of image 'x\.png'"):
        apply(np.asarray, COLOUR, "x.png")


@pytest.mark.parametrize("name", ["mean", "std"])
def test_three_numbers_are_not_for_one_channel(name):
    numbers = {name: (0.4, 0.5, 0.6)}
    with pytest.raises(UsageError, match="grey images have one channel"):
        Transform(grayscale=True, **numbers)
    with pytest.raises(UsageError, match="three channels, but the images are grey"):
        Transform(**numbers)(np.zeros((8, 8), np.uint8))
    assert Transform(grayscale=False, **numbers)(np.zeros((8, 8), np.uint8)).shape == (3, 8, 8)
