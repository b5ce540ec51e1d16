"""The frame header of a JPEG file against a reader in Python that was written from the format."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hudd.data.jpeg import Frame, read_frame

ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def frame_of(content):
    """Go from marker to marker up to the frame."""
    if content[:3] != b"\xff\xd8\xff":
        return None
    at, exif, transform = 2, False, 1
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        inside = content[at + 4 :]
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            return None
        if marker in FRAMES:
            if length < 8 or len(inside) < 6:
                return None
            height, width = (int.from_bytes(inside[k : k + 2], "big") for k in (1, 3))
            huffman = marker in (0xC0, 0xC1, 0xC2) and inside[0] == 8 and inside[5] in (1, 3)
            return width, height, huffman and transform == 1 and 0 not in (width, height), exif
        exif |= marker == 0xE1 and inside.startswith(b"Exif")
        if marker == 0xEE and inside.startswith(b"Adobe"):
            transform = inside[11] if length >= 14 and len(inside) > 11 else 0
        at += 2 + length
    return None


def segment(marker, inside, length=None):
    return bytes((0xFF, marker)) + (len(inside) + 2 if length is None else length).to_bytes(2, "big") + inside


SEGMENTS = st.one_of(
    st.just(b"\xff"),
    st.sampled_from(sorted(ALONE)).map(lambda marker: bytes((0xFF, marker))),
    st.builds(segment, st.integers(0, 255), st.binary(max_size=20), st.one_of(st.none(), st.integers(0, 40))),
    st.builds(segment, st.just(0xE1), st.binary(max_size=3).map(lambda rest: b"Exif" + rest)),
    st.builds(segment, st.just(0xEE), st.binary(min_size=6, max_size=8).map(lambda rest: b"Adobe" + rest)),
    st.builds(
        segment, st.sampled_from(sorted(FRAMES)), st.builds(
            lambda bits, sides, channels: bytes((bits, *sides, channels)),
            st.sampled_from([8, 12]),
            st.tuples(*4 * [st.integers(0, 255)]),
            st.sampled_from([1, 3, 4]),
        ),
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=500)
@given(st.lists(SEGMENTS, max_size=6), st.integers(0, 6))
def test_the_frame_of_segments_in_any_order(segments, cut):
    content = b"\xff\xd8" + b"".join(segments)
    for one in (content, content[: len(content) - cut]):
        assert read_frame(one) == frame_of(one)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.data())
def test_the_frame_of_damaged_files(width, height, progressive, data):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(stream, "JPEG", progressive=progressive)
    content = bytearray(stream.getvalue())
    assert read_frame(bytes(content)) == Frame(width, height, exact=True, exif=False)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert read_frame(damaged) == frame_of(damaged)
