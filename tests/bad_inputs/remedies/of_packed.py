"""Archives and tables of images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from remedy import run

_CLASSES = "--classes ant,bee,cat"
_TAR, _TABLE = f"--test bad.tar {_CLASSES}", f"--test bad.parquet {_CLASSES}"


def _jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()


def _archive(name: str = "bad.tar", prefix: str = "") -> Callable[[], object]:
    def write() -> None:
        with tarfile.open(name, "w") as archive:
            for seed, label in enumerate(("ant", "bee", "cat")):
                for path, content in ((f"{seed}.jpg", _jpeg(seed)), (f"{seed}.cls", label.encode())):
                    about = tarfile.TarInfo(prefix + path)
                    about.size = len(content)
                    archive.addfile(about, io.BytesIO(content))

    return write


def _table(name: str = "bad.parquet") -> Callable[[], object]:
    def write() -> None:
        import pyarrow as pa
        from pyarrow import parquet

        Path(name).parent.mkdir(parents=True, exist_ok=True)
        images = [{"bytes": _jpeg(seed), "path": f"{seed}.jpg"} for seed in range(3)]
        parquet.write_table(pa.table({"image": images, "label": ["ant", "bee", "cat"]}), name)

    return write


def _saved() -> None:
    import pyarrow as pa

    Path("bad/test").mkdir()
    images = [{"bytes": _jpeg(seed), "path": f"{seed}.jpg"} for seed in range(3)]
    table = pa.table({"image": images, "label": ["ant", "bee", "cat"]})
    with pa.ipc.new_stream("bad/test/data.arrow", table.schema) as stream:
        stream.write_table(table)


for _what in (
    "An archive of images that is no archive",
    "An archive of images that is empty",
    "A compressed archive of images",
    "An archive without an image",
    "An archive that is cut off in a header",
    "An archive that is damaged between its members",
    "An image twice in an archive",
    "Two images of one sample",
    "A label in an archive that is no class",
    "JSON in an archive that is none",
    "An archive of whole sets",
):
    run(_what, _TAR, _archive())
run("An archive that is cut off in an image", f"{_TAR} --skip-bad")
run("A damaged image in an archive", f"{_TAR} --skip-bad")
run(
    "Archives of a pattern that fits none", f"--test bad-{{000..000}}.tar {_CLASSES}", _archive("bad-000.tar")
)
run("A pattern that counts downwards", f"--test bad-{{1..1}}.tar {_CLASSES}", _archive("bad-1.tar"))
run("A URL of a kind that is not read", _TAR, _archive())
run("A URL of an unknown protocol", _TAR, _archive())
run("A damaged image in a table", f"{_TABLE} --skip-bad")
run("Two columns of images", _TABLE, _table())
run("Tables without a column of images", f"--test bad-*.parquet {_CLASSES}", _table("bad-1.parquet"))
run("A folder of tables of several sets", f"--test bad/test*.parquet {_CLASSES}")
run("A saved dataset of several splits", f"--test bad/test {_CLASSES}", _saved)
