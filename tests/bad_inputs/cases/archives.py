"""Archives and factories of data that cannot be used."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from case import archive, module, new, write

_ARCHIVE = "Archives and factories of data"


def _declaring(shape: tuple[int, ...]) -> None:
    """An archive with an image array of kilobytes that declares any shape."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    with zipfile.ZipFile("bad.npz", "w") as file:
        file.writestr(
            "images.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + b"\0" * 64
        )


def _zip_bomb() -> None:
    """An archive whose directory says that its one member unpacks to 4 GiB less a byte, sixteen times."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(16):
            file.writestr(f"images{number}.npy", b"\0" * 100)
    data = bytearray(content.getvalue())
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 24 : at + 28] = b"\xfe\xff\xff\xff"
        at = data.find(b"PK\1\2", at + 4)
    Path("bad.npz").write_bytes(bytes(data))


new(_ARCHIVE, "An archive that is none", "--test bad.npz", lambda: write("bad.npz", b"x" * 99))
new(_ARCHIVE, "An archive without images", "--test bad.npz", lambda: archive(images=None))
new(_ARCHIVE, "An archive of no images", "--test bad.npz", lambda: archive(count=0))
new(_ARCHIVE, "Images of floats", "--test bad.npz", lambda: archive(images=np.zeros((4, 8, 8))))
new(_ARCHIVE, "Labels for other images", "--test bad.npz", lambda: archive(labels=np.zeros(9, int)))
new(_ARCHIVE, "A parameter of another length", "--test bad.npz", lambda: archive(width=np.zeros(2)))
new(
    _ARCHIVE,
    "Fewer class names than classes",
    "--test bad.npz",
    lambda: archive(class_names=np.array(["ant"])),
)
new(_ARCHIVE, "Python objects", "--test bad.npz", lambda: archive(extra=np.array([{}] * 4, dtype=object)))
new(_ARCHIVE, "A shape that is not there", "--test bad.npz", lambda: _declaring((2**40, 8, 8)))
new(_ARCHIVE, "A zip bomb", "--test bad.npz", _zip_bomb)
new(_ARCHIVE, "A factory that makes no data", "--test bad.py:data", module("def data(): return 7"))
new(_ARCHIVE, "A factory that makes tensors", "--test bad.py:data", module(
    "import torch\nclass data(list):\n    targets = [0]\n    "
    "def __init__(self): super().__init__([(torch.ones(1, 8, 8), 0)])"
))  # fmt: skip
new(_ARCHIVE, "A factory that makes images of 16 bits", "--test bad.py:data", module(
    "from PIL import Image\ndef data(): return [(Image.new('I;16', (8, 8)), 0)]"
))  # fmt: skip
new(_ARCHIVE, "A factory that makes no image", "--test bad.py:data", module("def data(): return []"))
