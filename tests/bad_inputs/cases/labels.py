"""Labels that cannot be used."""

from __future__ import annotations

from pathlib import Path

from case import Prepare, add, write

_LABELS = "Labels"


def _labels(text: str, name: str = "bad.csv") -> Prepare:
    return lambda: write(name, text)


_IMPORT = "label study --import"
add(_LABELS, "Labels that do not exist", f"{_IMPORT} nowhere.csv")
add(_LABELS, "No columns of paths and labels", f"{_IMPORT} bad.csv", _labels("image,class\n"))
add(
    _LABELS,
    "An image that is not in the set",
    f"{_IMPORT} bad.csv",
    _labels("path,label\n../../etc/passwd,ant\n"),
)
add(
    _LABELS,
    "A class that does not exist",
    f"{_IMPORT} bad.csv",
    _labels("path,label\nimprovement.npz[0],bees\n"),
)
add(
    _LABELS,
    "An image with two labels",
    f"{_IMPORT} bad.csv --overwrite",
    _labels("path,label\nimprovement.npz[0],ant\nimprovement.npz[0],bee\n"),
)
add(
    _LABELS,
    "A label other than the known one",
    f"{_IMPORT} bad.csv",
    _labels("path,label\nimprovement.npz[0],ant\nimprovement.npz[1],ant\nimprovement.npz[2],ant\n"),
)
add(
    _LABELS,
    "Labels that are not UTF-8",
    f"{_IMPORT} bad.csv",
    lambda: write("bad.csv", b"path,label\n\xff,ant\n"),
    foreign=r"(?<=read \().*(?=\); give)",
)
add(
    _LABELS,
    "Tasks that are not JSON",
    f"{_IMPORT} bad.json",
    _labels("{", "bad.json"),
    foreign=r"(?<=JSON \().*(?=\);)",
)
add(
    _LABELS,
    "Tasks nested a hundred thousand deep",
    f"{_IMPORT} bad.json",
    _labels("[" * 100_000, "bad.json"),
    foreign=r"(?<=JSON \().*(?=\);)",
)
add(_LABELS, "A file that is no list of tasks", f"{_IMPORT} bad.json", _labels("{}", "bad.json"))
add(_LABELS, "A task without an image", f"{_IMPORT} bad.json", _labels('[{"data": {}}]', "bad.json"))
add(
    _LABELS,
    "A task of another shape",
    f"{_IMPORT} bad.json",
    _labels('[{"data": {"path": "improvement.npz[0]"}, "annotations": [7]}]', "bad.json"),
    foreign=r"(?<=Studio's \().*(?=\); export)",
)
add(_LABELS, "A folder that hudd did not write", f"{_IMPORT} bad", lambda: Path("bad").mkdir())
add(_LABELS, "Export into a folder that is not empty", "label study --export study")
add(
    _LABELS,
    "Export over labels that were filled in",
    "label study --export todo.csv",
    _labels("", "todo.csv"),
)
