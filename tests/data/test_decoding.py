"""Every decoder makes the same pixels, of whatever a JPEG file may be; what one cannot do another does."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hudd.data import decoding
from hudd.data.decoding import check_decoder, decode, decoder_version, preferred_decoder, scan
from hudd.data.jpeg import read_frame
from hudd.errors import UsageError

simplejpeg = pytest.importorskip("simplejpeg")

LEVELS = 2


def drawn(height, width, mode, seed=0):
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(columns / (5 + c)) * np.cos(rows / (3 + c)) for c in range(3)], -1)
    noise = np.random.default_rng(seed).normal(0, 20, waves.shape)
    return Image.fromarray((128 + 100 * waves + noise).clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def by_pillow(content, exif_orient=False):
    image = Image.open(io.BytesIO(content))
    return np.asarray((ImageOps.exif_transpose(image) if exif_orient else image).convert("RGB"))


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    orientation=st.sampled_from([None, 1, 3, 6, 7]),
    exif_orient=st.booleans(),
    seed=st.integers(0, 9),
)
def test_jpeg(size, mode, quality, subsampling, progressive, orientation, exif_orient, seed):
    options = {"exif": turned(orientation)} if orientation else {}
    content = encoded(
        drawn(*size, mode, seed), quality=quality, subsampling=subsampling, progressive=progressive, **options
    )
    expected = by_pillow(content, exif_orient).astype(int)
    for decoder in ("pillow", "simplejpeg"):
        found = decode(content, "'x'", exif_orient=exif_orient, decoder=decoder)
        assert found.dtype == np.uint8
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= LEVELS


KINDS = {
    "grey PNG": lambda: encoded(drawn(9, 8, "L"), "PNG"),
    "palette PNG": lambda: encoded(drawn(9, 8, "P"), "PNG"),
    "transparent PNG": lambda: encoded(drawn(9, 8, "RGBA"), "PNG"),
    "BMP": lambda: encoded(drawn(9, 8, "RGB"), "BMP"),
    "GIF": lambda: encoded(drawn(9, 8, "P"), "GIF"),
    "TIFF": lambda: encoded(drawn(9, 8, "RGB"), "TIFF"),
    "RGB JPEG": lambda: encoded(drawn(9, 8, "RGB"), keep_rgb=True),
    "YCbCr 4:1:1": lambda: encoded(drawn(33, 34, "RGB"), subsampling="4:1:1"),
    "JPEG with a comment": lambda: encoded(drawn(9, 8, "RGB"), comment=b"Exif and so on"),
    "JPEG with restarts": lambda: encoded(drawn(40, 30, "RGB"), restart_marker_blocks=2),
    "JPEG with bytes behind it": lambda: encoded(drawn(40, 30, "RGB")) + bytes(99) + b"more",
    "JPEG with padding": lambda: (lambda content: content[:2] + b"\xff\xff" + content[2:])(encoded(drawn(9, 8, "L"))),
    "JPEG with damaged data": lambda: encoded(drawn(90, 80, "RGB")).replace(b"\xd1", b"\xd3"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds(kind, tmp_path):
    content = KINDS[kind]()
    np.testing.assert_array_equal(decode(content, "'x'", decoder="simplejpeg"), by_pillow(content))
    file = tmp_path / ("x.jpg" if "JPEG" in kind else "x.png")
    file.write_bytes(content)
    np.testing.assert_array_equal(decode(file, f"'{file}'", decoder="simplejpeg"), by_pillow(content))


def outcome(content, decoder):
    try:
        return decode(content, "'x'", decoder=decoder).tolist()
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("progressive", [False, True])
def test_what_is_cut_off_or_damaged_ends_in_the_same(progressive):
    content = encoded(drawn(40, 50, "RGB"), progressive=progressive)
    rng = np.random.default_rng(0)
    damaged = [content[:length] for length in (0, 1, 3, 30, 200, len(content) // 2, len(content) - 2)]
    for _ in range(60):
        other = bytearray(content)
        other[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(other))
    for one in damaged:
        assert outcome(one, "simplejpeg") == outcome(one, "pillow")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("height", [30, 31])
def test_pixels_that_fit_are_decoded_where_they_are_wanted(mode, height):
    content = encoded(drawn(30, 40, mode))
    into = np.full((height, 40, 3), 7, np.uint8)
    found = decode(content, "'x'", decoder="simplejpeg", into=into)
    np.testing.assert_array_equal(found, by_pillow(content))
    fits = mode != "CMYK" and height == 30
    assert (found is into) == fits
    assert fits or (into == 7).all()


def test_sixteen_bits_are_refused():
    deep = encoded(Image.fromarray(np.full((4, 5), 3000, np.uint16)), "PNG")
    for decoder in ("pillow", "simplejpeg"):
        with pytest.raises(UsageError, match="'x' has pixels of type I;16"):
            decode(deep, "'x'", decoder=decoder)


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = encoded(drawn(11, 11, "RGB"))
    for decoder in ("pillow", "simplejpeg"):
        with pytest.raises(UsageError, match="'x' has more pixels"):
            decode(content, "'x'", decoder=decoder)
    assert "'x' has more pixels" in scan(content, "'x'")


def test_headers():
    frame = read_frame(encoded(drawn(11, 7, "RGB")))
    assert (frame.width, frame.height, frame.exact, frame.exif) == (7, 11, True, False)
    assert not read_frame(encoded(drawn(11, 7, "CMYK"))).exact
    assert read_frame(encoded(drawn(11, 7, "L"), exif=turned(6))).exif
    assert read_frame(encoded(drawn(11, 7, "L"), "PNG")) is None
    content = encoded(drawn(11, 7, "L"))
    for length in range(content.index(b"\xff\xc0") + 10):
        assert read_frame(content[:length]) is None
    assert scan(encoded(drawn(11, 7, "L"), exif=turned(6)), "'x'").shown == (11, 7)
    assert "cannot be decoded" in scan(encoded(drawn(11, 7, "L"))[:-30], "'x'")


def test_which_decoder(monkeypatch):
    assert preferred_decoder() == "simplejpeg"
    check_decoder("simplejpeg")
    assert decoder_version("simplejpeg").startswith(f"simplejpeg {simplejpeg.__version__}; Pillow ")
    assert decoder_version("pillow").startswith("Pillow ")
    monkeypatch.setattr(decoding, "find_spec", lambda name: None)
    assert preferred_decoder() == "pillow"
    check_decoder("pillow")
    with pytest.raises(UsageError, match="which is not installed"):
        check_decoder("simplejpeg")
