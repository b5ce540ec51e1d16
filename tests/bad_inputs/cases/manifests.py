"""Manifests that cannot be used."""

from __future__ import annotations

from pathlib import Path

from case import manifest, new, write

_MANIFEST = "Manifests"
new(_MANIFEST, "An empty manifest", "--test bad.csv", lambda: manifest(""))
new(_MANIFEST, "No column of paths", "--test bad.csv", lambda: manifest("file,label\n1.png,ant\n"))
new(_MANIFEST, "No rows", "--test bad.csv", lambda: manifest("path,label\n"))
new(_MANIFEST, "A row without a path", "--test bad.csv", lambda: manifest("path,label\n1.png,ant\n,bee\n"))
new(_MANIFEST, "An image named twice", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n1.png,1\n"))
new(_MANIFEST, "An image that is not there", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n"))
new(
    _MANIFEST,
    "A path with a zero byte",
    "--test bad.parquet",
    lambda: _parquet({"path": ["a\0b.png"], "label": [0]}),
)
new(_MANIFEST, "Half a label", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n2.png,1.5\n"))
new(_MANIFEST, "An infinite label", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n2.png,inf\n"))
new(
    _MANIFEST,
    "A class number out of all measure",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,1e15\n"),
)
new(
    _MANIFEST,
    "A class number beyond the model's outputs",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,0\n2.png,7\n", "1.png", "2.png"),
)
new(
    _MANIFEST,
    "Several splits and none chosen",
    "--test bad.csv",
    lambda: manifest("path,label,split\n1.png,0,test\n2.png,1,train\n"),
)
new(
    _MANIFEST,
    "A split that is not there",
    "--test bad.csv::val",
    lambda: manifest("path,label,split\n1.png,0,test\n2.png,1,train\n"),
)
new(
    _MANIFEST,
    "A split of a manifest without splits",
    "--test bad.csv::val",
    lambda: manifest("path,label\n1.png,0\n"),
)
new(
    _MANIFEST,
    "Text that is not UTF-8",
    "--test bad.csv",
    lambda: write("bad.csv", b"path,label\n\xff.png,0\n"),
    foreign=r"(?<=read \().*(?=\); write)",
)
new(
    _MANIFEST,
    "A row with too many cells",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,0\n2.png,1,x,y\n"),
    foreign=r"(?<=read \().*(?=\); write)",
)
new(
    _MANIFEST,
    "More columns than images have parameters",
    "--test bad.csv",
    lambda: manifest("path" + ",x" * 2000 + "\n"),
)
new(_MANIFEST, "A manifest larger than memory", "--test bad.csv", lambda: _sparse("bad.csv", 3 << 30))
new(
    _MANIFEST,
    "Two parameters that are one name to a study",
    "--test bad.csv",
    lambda: manifest("path,label,a/b,a_b\n1.png,0,1,2\n"),
)
new(
    _MANIFEST,
    "A damaged Parquet file",
    "--test bad.parquet",
    lambda: write("bad.parquet", b"PAR1" + b"\xff" * 50 + b"PAR1"),
    foreign=r"(?<=read \().*(?=\); write)",
)
new(_MANIFEST, "A manifest that is a folder", "--test bad.csv::x", lambda: Path("bad.csv").mkdir())


def _parquet(columns: dict[str, list[object]]) -> None:
    import pandas as pd

    pd.DataFrame(columns).to_parquet("bad.parquet")


def _sparse(name: str, size: int) -> None:
    """A file that says it is large and takes no space."""
    with Path(name).open("wb") as file:
        file.truncate(size)
