"""Archives and tables of images that cannot be used."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from case import Prepare, new, write
from PIL import Image

_PACKED = "Archives and tables of images"


def jpeg(name: str) -> bytes:
    """The bytes of an image of noise that no other name has."""
    noise = np.random.default_rng(list(name.encode())).integers(0, 256, (8, 8), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()


def tar(name: str, *members: tuple[str, str | bytes]) -> Path:
    """Write an archive; an image is drawn where its content is empty."""
    with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in members:
            content = content.encode() if isinstance(content, str) else content
            content = content or jpeg(path)
            about = tarfile.TarInfo(path)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return Path(name)


SOUND = (("1.jpg", ""), ("1.cls", "ant"), ("2.jpg", ""), ("2.cls", "bee"), ("3.jpg", ""), ("3.cls", "cat"))


def _tar(*members: tuple[str, str | bytes]) -> Prepare:
    return lambda: tar("bad.tar", *members)


def _cut(behind: int) -> Prepare:
    """An archive that ends so many bytes behind the beginning of its last member."""

    def prepare() -> None:
        content = tar("bad.tar", ("ant/1.jpg", ""), ("bee/2.jpg", ""), ("cat/3.jpg", "")).read_bytes()
        write("bad.tar", content[: content.index(b"cat/3.jpg") + behind])

    return prepare


def _flipped() -> None:
    content = bytearray(tar("bad.tar", *SOUND).read_bytes())
    at = content.index(b"2.jpg")
    content[at : at + 200] = bytes(200)
    write("bad.tar", bytes(content))


def parquet(name: str = "bad.parquet", broken: int | None = None, **columns: object) -> None:
    """Write a table of three images, of which one may be broken."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    names = ["1.jpg", "2.jpg", "3.jpg"]
    images = [{"bytes": b"none" if at == broken else jpeg(one), "path": one} for at, one in enumerate(names)]
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    found = {"image": images, "label": ["ant", "bee", "cat"]} | columns
    pq.write_table(pa.table({key: value for key, value in found.items() if value is not None}), name)


def _dict() -> None:
    write("bad/dataset_dict.json", json.dumps({"splits": ["train", "test"]}))


_CALL = "--test bad.tar --classes ant,bee,cat"

new(_PACKED, "An archive of images that is no archive", _CALL, lambda: write("bad.tar", b"x" * 999))
new(_PACKED, "An archive of images that is empty", _CALL, lambda: write("bad.tar", b""))
new(_PACKED, "A compressed archive of images", _CALL, lambda: write("bad.tar", b"\x1f\x8b" + bytes(999)))
new(_PACKED, "An archive without an image", _CALL, _tar(("readme.md", "no image")))
new(_PACKED, "An archive that is cut off in an image", _CALL, _cut(600))
new(_PACKED, "An archive that is cut off in a header", _CALL, _cut(100))
new(_PACKED, "An archive that is damaged between its members", _CALL, _flipped)
new(_PACKED, "A damaged image in an archive", _CALL, _tar(*SOUND[:4], ("3.jpg", "none"), SOUND[5]))
new(_PACKED, "An image twice in an archive", _CALL, _tar(*SOUND, SOUND[0]))
new(_PACKED, "Two images of one sample", _CALL, _tar(*SOUND, ("3.png", "")))
new(_PACKED, "A label in an archive that is no class", _CALL, _tar(*SOUND[:5], ("3.cls", "wasp")))
new(
    _PACKED,
    "JSON in an archive that is none",
    _CALL,
    _tar(*SOUND[:5], ("3.json", "{")),
    foreign=r"(?<=\().+(?=\);)",
)
new(_PACKED, "Archives of a pattern that fits none", "--test bad-{000..002}.tar --classes ant,bee,cat")
new(_PACKED, "A pattern that counts downwards", "--test bad-{3..1}.tar --classes ant,bee,cat")
new(_PACKED, "An archive of whole sets", _CALL, _tar(("train/ant/1.jpg", ""), ("test/bee/2.jpg", "")))
new(_PACKED, "A URL of a kind that is not read", "--test http://127.0.0.1:9/images")
new(
    _PACKED, "A URL of an unknown protocol", "--test nosuch://bucket/bad.tar", foreign=r"(?<=\()[^()]+(?=\);)"
)
new(_PACKED, "A damaged image in a table", "--test bad.parquet", lambda: parquet(broken=1))
new(
    _PACKED,
    "Two columns of images",
    "--test bad.parquet",
    lambda: parquet(image=None, left=[{"bytes": b""}] * 3, right=[{"bytes": b""}] * 3),
)
new(
    _PACKED,
    "Tables without a column of images",
    "--test bad-*.parquet",
    lambda: parquet("bad-1.parquet", image=None),
)
new(
    _PACKED,
    "A folder of tables of several sets",
    "--test bad",
    lambda: [parquet(f"bad/{name}-00000-of-00001.parquet") for name in ("test", "train")],
)
new(_PACKED, "A saved dataset of several splits", "--test bad", _dict)
