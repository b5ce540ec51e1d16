import io
from base64 import b64decode

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hudd.plot import relevance_scale
from hudd.report.album import Album


def decoded(shot):
    return np.asarray(Image.open(io.BytesIO(shot.data)).convert("RGBA"))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**31))
def test_overlay_is_signed_and_transparent_where_nothing_is(height, width, seed):
    relevance = np.random.default_rng(seed).standard_normal((height, width))
    relevance[0, 0] = 0
    pixels = decoded(Album(64, 0).overlay("a", lambda: relevance))
    assert pixels.shape == (height, width, 4)
    assert pixels[0, 0, 3] == 0
    strong = np.abs(relevance) > 0.1 * relevance_scale(relevance)
    red, blue = pixels[..., 0].astype(int), pixels[..., 2].astype(int)
    assert (red > blue)[strong & (relevance > 0)].all()
    assert (blue > red)[strong & (relevance < 0)].all()
    expected = np.minimum(1, np.abs(relevance) / relevance_scale(relevance))
    np.testing.assert_allclose(pixels[..., 3] / 255, expected, atol=0.5 / 127 + 0.003)


def test_overlay_of_nothing_and_of_broken_numbers():
    assert decoded(Album(64, 0).overlay("a", lambda: np.zeros((5, 4))))[..., 3].max() == 0
    pixels = decoded(Album(64, 0).overlay("a", lambda: np.array([[np.nan, np.inf], [1.0, -1.0]])))
    assert pixels[0, 0, 3] == pixels[0, 1, 3] == 0
    assert pixels[1, 0, 3] == pixels[1, 1, 3] > 0  # the mean of what is finite, a fifth of full colour


def test_tiny_pictures_are_kept_exactly_and_large_ones_are_made_small(tmp_path):
    rng = np.random.default_rng(0)
    tiny, large = rng.integers(0, 256, (28, 30, 3), np.uint8), rng.integers(0, 256, (300, 200, 3), np.uint8)
    album = Album(100, 10**9)
    first, second = album.picture("tiny", lambda: tiny), album.picture("large", lambda: large)
    np.testing.assert_array_equal(decoded(first)[..., :3], tiny)
    assert (second.width, second.height) == (67, 100)
    assert album.overlay("wide", lambda: rng.standard_normal((400, 300))).height == 100
    album.close(tmp_path / "page.html")
    head, data = first.src.split(",", 1)
    assert head == "data:image/webp;base64"
    assert b64decode(data) == first.data
