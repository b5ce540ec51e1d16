"""What lies on the disk, read with json, csv, h5py and hashlib alone."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import h5py


def journal(study: Path) -> list[dict[str, Any]]:
    """The edits in a study's journal, each line that is whole."""
    file = study / "review.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines[1:]]


class Label(NamedTuple):
    """A row of labels.csv: the class, empty where it was taken back, and the one that the study had then."""

    label: str
    replaces: str


def labels(study: Path) -> dict[str, Label]:
    """The rows of a study's labels.csv by path."""
    file = study / "labels.csv"
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["path", *Label._fields], rows
    assert len({path for path, *_ in rows[1:]}) == len(rows) - 1
    return {path: Label(*cells) for path, *cells in rows[1:]}


def stored(study: Path) -> dict[str, int]:
    """Class number by path as it is in the study: imported, else the data's own."""
    with h5py.File(study / "study.h5") as h5:
        split = h5["splits/improvement"]
        found = dict(zip(split["path"].asstr()[...].tolist(), split["label"][...].tolist()))
        if "labels" in h5:
            found |= dict(zip(h5["labels/path"].asstr()[...].tolist(), h5["labels/label"][...].tolist()))
    return found


def standing(edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merges and splits that were not taken back."""
    undone = {edit["of"] for edit in edits if edit["edit"] == "undo"}
    return [
        edit
        for number, edit in enumerate(edits, start=1)
        if edit["edit"] in ("merge", "split") and number not in undone
    ]


def exported(out: Path) -> tuple[list[int], dict[int, str], dict[str, str]] | None:
    """Return each error's cluster, the clusters' names and the state that an export tells, if it is whole."""
    if not out.exists():
        return None
    manifest = json.loads((out / "hudd-export.json").read_text())
    listed = {name: digest for one in manifest["formats"].values() for name, digest in one["files"].items()}
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    assert found.keys() == {*listed, "hudd-export.json"}, f"{out} is not what its manifest says"
    for name, digest in listed.items():
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == digest, f"{name} is torn"
    told = []
    if "csv" in manifest["formats"]:
        with (out / "errors.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if "cluster" not in rows[0]:  # of a study that was about to be clustered again
            return None
        names = {int(row["cluster"]): row["cluster_name"] for row in rows}
        told.append(([int(row["cluster"]) for row in rows], names))
    if "coco" in manifest["formats"]:
        content = json.loads((out / "coco" / "annotations.json").read_text())
        names = {one["id"]: one["name"].partition(" ")[2] for one in content["categories"]}
        told.append(([one["category_id"] for one in content["annotations"]], names))
    if "images" in manifest["formats"]:
        sizes, names = {}, {}
        for folder in (out / "errors").iterdir():
            number, _, name = folder.name.removeprefix("cluster_").partition("_")
            sizes[int(number)], names[int(number)] = len(list(folder.iterdir())) // 2, name.replace("_", " ")
        for clusters, _ in told:
            assert sizes == {number: clusters.count(number) for number in set(clusters)}
        told.append(([number for number, size in sizes.items() for _ in range(size)], names))
    for clusters, names in told[1:]:
        assert (sorted(clusters), names) == (sorted(told[0][0]), told[0][1]), "the formats are of two states"
    return *told[0], manifest["state"]
