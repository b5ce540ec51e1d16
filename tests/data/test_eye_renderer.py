import numpy as np
import pytest

from hudd.data.cases.eye_renderer import render

PLAIN = {
    "gaze_yaw": 0.0,
    "gaze_pitch": 0.0,
    "head_yaw": 0.0,
    "head_pitch": 0.0,
    "light_angle": 0.0,
    "eyelid_opening": 0.9,
    "iris_size": 0.5,
    "pupil_size": 0.4,
    "light": 0.8,
    "ambient": 0.3,
    "skin": 0.2,
    "iris_colour": 0.0,
    "blur": 0.0,
    "noise": 0.0,
}


def eyes(size=64, **rows):
    count = max(np.size(values) for values in rows.values()) if rows else 1
    return render(
        {name: np.broadcast_to(rows.get(name, value), count) for name, value in PLAIN.items()}, RNG(), size
    )


def RNG():
    return np.random.default_rng(5)


def iris(image):
    """Share of the picture, and centre (right, up) in -1..1, of the blue iris."""
    red, _, blue = image.astype(float).transpose(2, 0, 1)
    rows, columns = np.nonzero(blue > red + 12)
    side = len(image)
    return len(rows) / side**2, columns.mean() / side * 2 - 1, 1 - rows.mean() / side * 2


def test_shape_and_type():
    images = eyes(gaze_yaw=[0, 10, 20])
    assert images.shape == (3, 64, 64, 3)
    assert images.dtype == np.uint8


def test_the_iris_goes_where_the_gaze_goes():
    yaw = [iris(image)[1] for image in eyes(gaze_yaw=[-25, -10, 10, 25])]
    pitch = [iris(image)[2] for image in eyes(gaze_pitch=[-22, -10, 10])]
    assert np.all(np.diff(yaw) > 0.05)
    assert np.all(np.diff(pitch) > 0.03)


def test_iris_pupil_and_lids_have_their_sizes():
    small, middle, large = (iris(image)[0] for image in eyes(iris_size=[0.25, 0.4, 0.5]))
    assert small < middle < large
    narrow, wide = (iris(image)[0] for image in eyes(pupil_size=[0.7, 0.25]))
    assert narrow < wide

    def white(image):
        return ((image.min(axis=2) > 150) & (np.ptp(image.astype(int), axis=2) < 40)).sum()

    shut, slit, open_ = (white(image) for image in eyes(eyelid_opening=[0.0, 0.3, 0.9], skin=0.6))
    assert shut < slit < open_


def test_light_and_skin_darken():
    for parameter, values in (
        ("light", [0.9, 0.5, 0.1]),
        ("ambient", [0.5, 0.3, 0.1]),
        ("skin", [0, 0.5, 1]),
    ):
        assert np.all(np.diff(eyes(**{parameter: values}).mean(axis=(1, 2, 3))) < -3)


def test_blur_and_noise():
    sharp, blurred = (np.abs(np.diff(image.astype(float), axis=1)).mean() for image in eyes(blur=[0, 2.5]))
    assert blurred < 0.7 * sharp
    clean, noisy = (np.diff(image.astype(float), axis=1).std() for image in eyes(noise=[0, 0.1]))
    assert noisy > clean + 10


def test_head_pose_moves_the_lids_against_the_eyeball():
    right, left = (iris(image)[1] for image in eyes(gaze_yaw=0, head_yaw=[10, -10]))
    assert abs(right - left) < 0.06, "the eyeball stays"
    brow = [
        image.astype(float)[:20].mean(axis=(1, 2)).argmin() for image in eyes(head_pitch=[-15, 0, 10], skin=0)
    ]
    assert brow[0] > brow[1] > brow[2], "the brow rises with the head"


def test_the_picture_is_the_same_at_every_size():
    large = eyes(size=128)[0].astype(float).reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(large - eyes()[0]).mean() < 4


@pytest.mark.parametrize("count", [1, 40])
def test_the_same_generator_draws_the_same(count):
    yaw = np.linspace(-20, 20, count)
    assert np.array_equal(eyes(gaze_yaw=yaw, noise=0.1), eyes(gaze_yaw=yaw, noise=0.1))


def test_every_eye_has_its_own_texture():
    one, two = eyes(gaze_yaw=[0, 0]).astype(float)
    assert 0.2 < np.abs(one - two).mean() < 10
