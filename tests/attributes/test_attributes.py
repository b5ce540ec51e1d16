"""Each attribute rises with what it is called after, by itself and of each image alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import Base
from scipy import ndimage

from hudd.attributes import OWN, attributes_of, measure_of, named_attributes
from hudd.errors import HuddError, UsageError


def photograph(seed=0, side=96):
    """A smooth scene with edges and a little texture, (side, side, 3) in [0, 1]."""
    rng = np.random.default_rng(seed)
    scene = ndimage.gaussian_filter(rng.random((side, side, 3)), (6, 6, 0))
    scene = (scene - scene.min()) / np.ptp(scene)
    scene[side // 4 : side // 2, side // 3 : side // 2] = rng.random(3)
    texture = ndimage.gaussian_filter(rng.normal(0, 0.3, (side, side)), 1)
    return np.clip(0.1 + 0.7 * scene + 0.1 * texture[..., None], 0, 1)


def measured(*images):
    pixels = [np.round(np.clip(image, 0, 1) * 255).astype(np.uint8) for image in images]
    return attributes_of()(pixels, [None] * len(pixels))


def noisy(image, deviation):
    return image + np.random.default_rng(1).normal(0, deviation, image.shape)


def covered(image, side):
    image = image.copy()
    image[10 : 10 + side, 20 : 20 + side] = 0.93
    return image


def in_blocks(image):
    blocks = image.reshape(12, 8, 12, 8, 3).mean(axis=(1, 3))
    return 0.3 * image + 0.7 * blocks.repeat(8, axis=0).repeat(8, axis=1)


@pytest.mark.parametrize(
    ("name", "change", "sign"),
    [
        ("luminance", lambda image: image * 0.3, -1),
        ("luminance", lambda image: image + 0.1, 1),
        ("contrast", lambda image: 0.5 + 0.4 * (image - 0.5), -1),
        ("saturation", lambda image: image.mean(axis=2, keepdims=True).repeat(3, axis=2), -1),
        ("colour_cast", lambda image: image * [1, 0.8, 0.4], 1),
        ("warmth", lambda image: image * [1, 0.9, 0.6], 1),
        ("warmth", lambda image: image * [0.6, 0.9, 1], -1),
        ("glare", lambda image: image * 2.5, 1),
        ("haze", lambda image: 0.5 + 0.5 * image, 1),
        ("sharpness", lambda image: ndimage.gaussian_filter(image, (2, 2, 0)), -1),
        ("blur_direction", lambda image: ndimage.uniform_filter1d(image, 9, axis=1), -1),
        ("blur_direction", lambda image: ndimage.uniform_filter1d(image, 9, axis=0), 1),
        ("coherence", lambda image: ndimage.uniform_filter1d(image, 15, axis=1), 1),
        ("noise", lambda image: noisy(image, 0.1), 1),
        ("blockiness", in_blocks, 1),
        ("covered", lambda image: covered(image, 30), 1),
        ("constant", lambda image: covered(image, 60), 1),
    ],
)
def test_it_changes_with_what_it_is_called_after(name, change, sign):
    images = [photograph(seed) for seed in range(5)]
    before, after = (measured(*some)[name] for some in (images, [change(image) for image in images]))
    assert (sign * (after - before) > 0.01).all(), (before, after)


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_noise_is_a_standard_deviation(deviation):
    even = np.full((96, 96), 0.5)
    assert measured(noisy(even, deviation))["noise"] == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize("contrast", [0.8, 0.5])
def test_sharpness_does_not_depend_on_contrast(contrast):
    image = photograph()
    reduced = measured(0.5 + contrast * (image - 0.5))["sharpness"]
    assert reduced == pytest.approx(measured(image)["sharpness"], abs=0.03)


@pytest.mark.parametrize("degrees", [-70, -30, 0, 20, 50])
def test_tilt_and_skew_turn_with_the_image(degrees):
    column = np.arange(64) - 31.5
    angle = np.radians(degrees)
    across = column[None, :] * np.cos(angle) + column[:, None] * np.sin(angle)
    found = measured(
        1 / (1 + np.exp(-across / 2)) * np.exp(-((np.hypot(*np.meshgrid(column, column)) / 20) ** 2))
    )
    assert found["tilt"] == pytest.approx(degrees, abs=4)
    assert found["skew"] == pytest.approx((degrees + 45) % 90 - 45, abs=4)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9999), st.sampled_from([(1, 1), (2, 9), (12, 12, 3), (30, 26), (24, 40, 3)])
        ),
        min_size=1,
        max_size=7,
    )
)
def test_an_image_s_numbers_depend_on_it_alone(drawn):
    images = [np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8) for seed, shape in drawn]
    together = attributes_of()(images, [None] * len(images))
    for row, image in enumerate(images):
        alone = attributes_of()([image], [None])
        for name, values in together.items():
            np.testing.assert_array_equal(values[row], alone[name][0], err_msg=name)


def test_grey_images_are_measured_like_grey_ones_in_colour():
    grey = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)
    one, three = (attributes_of()([image], [None]) for image in (grey, grey[..., None].repeat(3, axis=2)))
    for name, values in one.items():
        np.testing.assert_allclose(values, three[name], atol=2e-4, err_msg=name)
    assert one["saturation"] == one["colour_cast"] == 0


def test_size_is_that_of_the_decoded_image():
    found = attributes_of()([np.zeros((30, 60), np.uint8), np.zeros((600, 1200, 3), np.uint8)], [None, None])
    assert found["width"].tolist() == [60, 1200]
    assert found["height"].tolist() == [30, 600]
    assert found["aspect"].tolist() == [2, 2]


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (3, 2, 3), (1000, 1000, 3)])
@pytest.mark.parametrize("level", [0, 255])
def test_even_images_of_any_shape_are_measured(shape, level):
    found = attributes_of()([np.full(shape, level, np.uint8)], [None])
    assert found["luminance"] == pytest.approx(level / 255)
    assert found["constant"] == 1
    assert np.isnan(found["tilt"])


def test_exposure_is_read_from_exif(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({Base.ExposureTime: (1 / 250), Base.FNumber: 2.8, Base.ISOSpeedRatings: 400})
    picture = Image.new("RGB", (20, 20))
    picture.save(tmp_path / "with.jpg", exif=exif)
    picture.save(tmp_path / "without.jpg")
    (tmp_path / "none.jpg").write_bytes(b"no image")
    files = [tmp_path / name for name in ("with.jpg", "without.jpg", "none.jpg", "gone.jpg")]
    found = attributes_of()([np.zeros((20, 20, 3), np.uint8)] * 5, [*files, None])
    assert found["exposure_time"][0] == pytest.approx(1 / 250, rel=1e-3)
    assert found["f_number"][0] == pytest.approx(2.8)
    assert found["iso"][0] == 400
    assert all(np.isnan(found[name][1:]).all() for name in ("exposure_time", "f_number", "iso"))


def test_own_measures_list_what_they_return():
    assert set(OWN) == {"light", "detail", "frame", "exposure"}
    listed = {attribute.name for name in OWN for attribute in measure_of(name).attributes}
    assert listed == set(named_attributes()) == set(measured(photograph()))


PART = """
import numpy as np
from hudd.extend import Attribute
class Same:
    attributes = (Attribute("luminance", "again"),)
    def __call__(self, pictures): return {"luminance": np.zeros(len(pictures))}
class Spaced(Same):
    attributes = (Attribute("my number", "x"),)
class Short(Same):
    attributes = (Attribute("short", "x"),)
    def __call__(self, pictures): return {"short": np.zeros(len(pictures) + 1)}
class Raises(Short):
    def __call__(self, pictures): raise RuntimeError("no idea")
NOTHING = 3
"""


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        ("Same", UsageError, "'luminance' of .* is there already"),
        ("Spaced", UsageError, "called 'my number'"),
        ("NOTHING", UsageError, "must be callable"),
        ("Short", HuddError, "float64 of shape \\(3,\\) as 'short' of 2 images"),
        ("Raises", HuddError, "RuntimeError: no idea"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(tmp_path, part, kind, message):
    (tmp_path / "parts.py").write_text(PART)
    with pytest.raises(kind, match=message):
        attributes_of((f"{tmp_path}/parts.py:{part}",))([np.zeros((4, 4), np.uint8)] * 2, [None] * 2)
