"""Images, folders, manifests, archives and factories of data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from remedy import run

# -- images and folders
_BAD = "--test bad --classes ant,bee,cat"


def _picture(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(os.fsencode(name))).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(noise).save(name)


def _pictures(*names: str) -> Callable[[], object]:
    return lambda: [_picture(name) for name in names]


def _move(name: str, to: str) -> Callable[[], object]:
    def move() -> None:
        Path(to).parent.mkdir(exist_ok=True)
        Path(name).rename(to)

    return move


def _copied() -> None:
    Path("bad/ant/out.png").unlink()
    shutil.copy("bad/ant/1.png", "bad/ant/out.png")


def _foldered() -> None:
    _move("bad/1.png", "bad/ant/1.png")()
    _picture("bad/bee/2.png")


run("Data that do not exist", "--test test.npz")
run("A file of an unknown kind", "--test test.npz")
run("A folder without images", _BAD, _pictures("bad/ant/1.png", "bad/bee/2.png"))
run("Images next to class folders", _BAD, _move("bad/3.png", "bad/ant/3.png"))
run("A file that is no image", _BAD, _move("bad/ant/run.exe", "run.exe"))
run("A link out of the data", _BAD, _copied)
run("A link to the folder that holds it", _BAD, lambda: Path("bad/ant/up").unlink())
for _what in (
    "A link to nothing",
    "An image file that holds something else",
    "Three image files that hold something else",
    "An empty image file",
    "A PostScript program called .png",
    "A decompression bomb",
    "A file name that steers the terminal",
):
    run(_what, f"{_BAD} --skip-bad")
run("An image of 16 bits", _BAD, _pictures("bad/ant/3.png"))
run("Images of two sizes", f"{_BAD} --resize 8x8")
run("A file name that is not UTF-8", _BAD, _move("bad/ant/\udcff.png", "bad/ant/3.png"))
run("Test images without labels", _BAD, _foldered)
run("A training set of other classes", "--train bad", _move("bad/wasp", "bad/cat"))

# -- manifests


def _manifest(text: str, *images: str) -> Callable[[], object]:
    def write() -> None:
        path = Path("bad.csv")
        if path.is_dir():
            path.rmdir()
        path.write_text(text)
        _pictures(*images)()

    return write


_two = _manifest("path,label\n1.png,0\n2.png,1\n", "1.png", "2.png")
_three = _manifest("path,label,split\n1.png,0,test\n2.png,1,test\n3.png,1,train\n", "1.png", "2.png", "3.png")


def _tables() -> None:
    import pandas as pd

    _two()
    pd.read_csv("bad.csv").to_parquet("bad.parquet")


for _what in (
    "An empty manifest",
    "No column of paths",
    "No rows",
    "A row without a path",
    "An image named twice",
    "An image that is not there",
    "Half a label",
    "An infinite label",
    "A class number out of all measure",
    "A class number beyond the model's outputs",
    "Text that is not UTF-8",
    "A row with too many cells",
    "More columns than images have parameters",
    "A manifest larger than memory",
    "A manifest that is a folder",
):
    run(_what, "--test bad.csv", _two)
run("Two parameters that are one name to a study", "--test bad.csv",
    _manifest("path,label,a/b,c\n1.png,0,1,2\n2.png,1,1,3\n", "1.png", "2.png"))  # fmt: skip
run("Several splits and none chosen", "--test bad.csv::test", _three)
run("A split that is not there", "--test bad.csv::test", _three)
run("A split of a manifest without splits", "--test bad.csv", _two)
run("A path with a zero byte", "--test bad.parquet", _tables)
run("A damaged Parquet file", "--test bad.parquet", _tables)

# -- archives and factories of data


def _archive() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    np.savez("bad.npz", images=images, labels=np.arange(6) % 3)


def _named() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    np.savez("bad.npz", images=images, labels=np.arange(6) % 3, class_names=np.array(["ant", "bee", "cat"]))


def _factory() -> None:
    Path("bad.py").write_text(
        "from PIL import Image\ndef data(): return [(Image.new('L', (8, 8), 40 * n), n % 2) for n in range(6)]\n"
    )


for _what in (
    "An archive that is none",
    "An archive without images",
    "An archive of no images",
    "Images of floats",
    "Labels for other images",
    "A parameter of another length",
    "Python objects",
    "A shape that is not there",
):
    run(_what, "--test bad.npz", _archive)
run("Fewer class names than classes", "--test bad.npz", _named)
run("A zip bomb", _BAD, _pictures("bad/ant/1.png", "bad/bee/2.png"))
for _what in (
    "A factory that makes no data",
    "A factory that makes tensors",
    "A factory that makes images of 16 bits",
    "A factory that makes no image",
):
    run(_what, "--test bad.py:data --classes ant,bee,cat", _factory)
