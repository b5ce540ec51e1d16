"""Images and folders that cannot be used."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from case import Prepare, new, picture, write
from PIL import Image

_IMAGES = "Images and folders"


def _bomb(name: str) -> None:
    """A PNG that says it is 60,000 pixels a side."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    checksum = zipfile.crc32(bytes(content[12:29]))
    content[29:33] = struct.pack(">I", checksum)
    Path(name).write_bytes(bytes(content))


def _folder(*extra: Prepare) -> Prepare:
    """A tree of two classes, then what spoils it."""

    def prepare() -> None:
        for name in ("bad/ant/1.png", "bad/bee/2.png"):
            picture(name)
        for corrupt in extra:
            corrupt()

    return prepare


new(_IMAGES, "Data that do not exist", "--test nowhere")
new(_IMAGES, "A file of an unknown kind", "--test bad.zip", lambda: write("bad.zip", b""))
new(_IMAGES, "A folder without images", "--test bad", lambda: Path("bad").mkdir())
new(_IMAGES, "Images next to class folders", "--test bad", _folder(lambda: picture("bad/3.png")))
new(_IMAGES, "A file that is no image", "--test bad", _folder(lambda: write("bad/ant/run.exe", b"MZ")))
new(
    _IMAGES,
    "A link out of the data",
    "--test bad",
    _folder(lambda: Path("bad/ant/out.png").symlink_to("/etc/passwd")),
)
new(
    _IMAGES,
    "A link to the folder that holds it",
    "--test bad",
    _folder(lambda: Path("bad/ant/up").symlink_to("..")),
)
new(_IMAGES, "A link to nothing", "--test bad", _folder(lambda: Path("bad/ant/3.png").symlink_to("gone.png")))
new(
    _IMAGES,
    "An image file that holds something else",
    "--test bad",
    _folder(lambda: write("bad/ant/3.png", b"x" * 99)),
)
new(
    _IMAGES,
    "Three image files that hold something else",
    "--test bad",
    _folder(*(lambda name=name: write(f"bad/ant/{name}.png", b"x") for name in "345")),
)
new(_IMAGES, "An empty image file", "--test bad", _folder(lambda: write("bad/ant/0.png", b"")))
new(
    _IMAGES,
    "A PostScript program called .png",
    "--test bad",
    _folder(
        lambda: write(
            "bad/ant/3.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(%pipe%id) (w) file\n"
        )
    ),
)
new(_IMAGES, "A decompression bomb", "--test bad", _folder(lambda: _bomb("bad/ant/3.png")))
new(_IMAGES, "An image of 16 bits", "--test bad", _folder(lambda: picture("bad/ant/3.png", mode="I;16")))
new(
    _IMAGES,
    "Images of two sizes",
    "--test bad",
    _folder(lambda: picture("bad/ant/3.png", (9, 8))),
)
new(
    _IMAGES,
    "A file name that steers the terminal",
    "--test bad",
    _folder(lambda: write("bad/ant/\x1b[2J.png", b"x")),
)
new(
    _IMAGES,
    "A file name that is not UTF-8",
    "--test bad",
    _folder(lambda: picture("bad/ant/\udcff.png")),
)
new(_IMAGES, "Test images without labels", "--test bad", lambda: picture("bad/1.png"))
new(
    _IMAGES,
    "A training set of other classes",
    "--train bad",
    _folder(lambda: picture("bad/wasp/3.png")),
)
