"""Tar archives of images with their labels next to them, as WebDataset has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePosixPath

import numpy as np

from hudd.data.encoded import EncodedSource, assign, check_distinct, tellers
from hudd.data.files import IMAGE_SUFFIXES, first
from hudd.data.folder import SETS
from hudd.data.index import Builder, Column, Index, index_of
from hudd.data.places import Place, expand
from hudd.data.tar import Member, Members
from hudd.errors import UsageError
from hudd.lazy import torch

TAR_SUFFIX = ".tar"
_LABELS = ("cls", "json", "txt")
_GAP = 1 << 16  # bytes between two images that are read along, rather than in two turns
_RUN = 16 << 20  # bytes that are read at once, at most, but for larger images
_LARGEST = 1e300
_NO_END = "archives without a mark of their end, which may be cut off,"


def open_tar(
    spec: str,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> EncodedSource:
    """Open tar archives of images.

    The members of a sample have one name before the first dot: an image (``001.jpg``) and, optionally, ``001.cls``, a
    class name or number; ``001.json``, a dict with ``label`` (or ``cls``) and parameters; ``001.txt``, the label where
    neither of these has one. Where no archive has any label, images in folders have the name of the first folder for
    their class, as in an image folder. Identifiers are the names of the image members, whatever archive they are in.

    Parameters
    ----------
    spec : str
        A file or URL, or a pattern of them: ``data/train-{000..099}.tar``, ``data/*.tar``.
    transform, class_names
        See :func:`hudd.data.open_source`.

    Raises
    ------
    UsageError
        If an archive cannot be read or is damaged between its members, a sample has two images, a member's name occurs
        twice, or a label is no class.
    """
    places = [Place(name) for name in expand(spec)]
    parts = [index_of(place, "tar", _scanned) for place in places]
    index = Index.joined(parts)
    if not len(index):
        also = f" (what is there: {_kinds(index.passed)})" if index.passed else ""
        raise UsageError(
            f"'{spec}' holds no images{also}; put images in it, such as 001.jpg next to 001.cls."
        )
    file_of, where = tellers(places, parts, index)
    check_distinct(index, file_of)
    label = index.columns.pop("label", None)
    folder = _folder_of(index, spec) if label is None else None
    assignment = assign(label or folder, class_names, where, len(index), named=folder is not None)
    parameters = {name: column.values() for name, column in index.columns.items()}
    source = EncodedSource(
        places, [len(part) for part in parts], index, read_runs, assignment, parameters, transform
    )
    source.remarks = _remarks(index.passed, spec)
    if label is None and folder is None:
        source.without_labels = (
            f"'{spec}' holds no labels; put one next to each image, as 001.cls next to 001.jpg, or the images in one "
            "folder per class"
        )
    return source


def _folder_of(index: Index, spec: str) -> Column | None:
    """Return the first folder of each image; None where not every one has one, or they are no classes."""
    known: dict[str, int] = {}
    codes, deeper = np.zeros(len(index), np.int32), False
    for row, name in enumerate(index.names):
        folder, separator, rest = name.partition("/")
        if not separator:
            return None
        codes[row] = known.setdefault(folder, len(known))
        deeper |= "/" in rest
    if all(name.lower() in SETS for name in known):
        if not deeper:
            return None
        raise UsageError(
            f"the images of '{spec}' lie in the folders of whole sets ({first(sorted(known), 3)}), not of classes; "
            "pack one set, with 'tar -cf test.tar -C test .', or put labels next to the images."
        )
    return Column(np.full(len(index), np.nan), codes, list(known))


def _scanned(place: Place) -> Index:
    """Read an archive through."""
    found = Builder(place.name)
    apart: dict[str, dict[str, str | float]] = {}  # labels that do not stand next to their image
    with place.stream() as stream:
        archive = Members(stream, place.name)
        for key, sample in groupby(archive, key=_key):
            _add(found, key, list(sample), apart)
    if not archive.ended:
        found.pass_over(_NO_END)
    if apart:
        for row, name in enumerate(found.names()):
            found.put(row, apart.pop(_split(name)[0], {}))
        for _ in apart:
            found.pass_over("label without an image")
    return found.finished()


def _add(found: Builder, key: str, sample: list[Member], apart: dict[str, dict[str, str | float]]) -> None:
    """Add a sample."""
    images, labels = [], dict[str, Member]()
    for member in sample:
        extension = _split(member.name)[1].lower()
        if PurePosixPath(member.name).name.startswith("."):
            found.pass_over("hidden file")
        elif f".{extension.rpartition('.')[2]}" in IMAGE_SUFFIXES:
            images.append(member)
        elif extension in _LABELS:
            labels[extension] = member
        else:
            found.pass_over(f".{extension} file")
    plain = [one for one in images if "." not in _split(one.name)[1]]
    if len(plain) > 1 or (len(images) > 1 and labels and not plain):
        one, other = (plain or images)[:2]
        raise UsageError(
            f"'{one.name}' and '{other.name}' in '{found.file}' are two images of one sample; give each a name of its "
            "own before the first dot."
        )
    if plain:
        for member in images:
            if member is not plain[0]:
                found.pass_over(f".{_split(member.name)[1].lower()} file")
    fields = _fields(labels, found)
    for member in plain or images:
        fault = None
        if not member.is_whole:
            fault = (
                f"image '{member.name}' in '{found.file}' cannot be decoded (the archive is cut off in it); replace it "
                "or leave it out."
            )
        found.add(member.name, member.place, member.content, fields, fault)
    if fields and not images:
        apart.setdefault(key, {}).update(fields)


def _fields(labels: dict[str, Member], found: Builder) -> dict[str, str | float]:
    """Return the label ("label") and the parameters that stand next to an image."""
    fields: dict[str, str | float] = {}
    texts = {}
    for extension, member in labels.items():
        where = f"'{member.name}' in '{found.file}'"
        if not member.is_whole:
            raise UsageError(f"{where} is cut off with the archive; write the archive again.")
        try:
            texts[extension] = member.content.decode("utf-8-sig")
            told = json.loads(texts["json"]) if extension == "json" else {}
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{where} cannot be read ({error}); write it as UTF-8, and .json as JSON."
            ) from error
        if not isinstance(told, dict):
            raise UsageError(f"{where} is a {type(told).__name__}; write a dict with 'label' and parameters.")
        for name, value in told.items():
            if value is None:
                continue
            if not isinstance(value, (str, int, float)):
                found.pass_over(f"list or dict '{name}' of a .json")
                continue
            fields[name] = value if isinstance(value, str) or abs(value) < _LARGEST else str(value)
    stated = [fields.pop(name) for name in ("label", "cls") if name in fields]
    label = texts["cls"].strip() if "cls" in texts else stated[0] if stated else texts.get("txt", "").strip()
    return {**fields, "label": label} if label != "" else fields


def _key(member: Member) -> str:
    return _split(member.name)[0]


def _split(name: str) -> tuple[str, str]:
    """Return what the members of a sample have in common, and the rest: divided at the first dot of the file's name."""
    folder, separator, file = name.rpartition("/")
    stem, _, extension = file.partition(".") if not file.startswith(".") else (file, "", "")
    return f"{folder}{separator}{stem}", extension


def read_runs(place: Place, index: Index, rows: np.ndarray) -> list[bytes]:
    """Read images by their places, those that lie close to each other in one turn."""
    order = rows[np.argsort(index.place[rows], kind="stable")]
    numbers = order.tolist()
    starts, ends = (
        values.tolist() for values in (index.place[order], index.place[order] + index.size[order])
    )
    found: dict[int, bytes] = {}
    at = 0
    while at < len(numbers):
        stop = at + 1
        while (
            stop < len(numbers) and starts[stop] - ends[stop - 1] <= _GAP and ends[stop] - starts[at] <= _RUN
        ):
            stop += 1
        start = starts[at]
        block = place.read(start, max(ends[at:stop]) - start)
        for row, begin, end in zip(numbers[at:stop], starts[at:stop], ends[at:stop]):
            found[row] = block[begin - start : end - start]
        at = stop
    return [found[row] for row in rows.tolist()]


def _remarks(passed: Mapping[str, int], spec: str) -> list[str]:
    """Say what was passed over."""
    told = []
    if passed.get(_NO_END):
        told.append(f"{passed[_NO_END]:,} {_NO_END} in '{spec}'.")
    rest = {kind: count for kind, count in passed.items() if kind != _NO_END}
    if rest:
        told.append(f"passed over in '{spec}': {_kinds(rest)}.")
    return told


def _kinds(passed: Mapping[str, int], most: int = 3) -> str:
    kinds = [f"{kind} ({count:,})" for kind, count in list(passed.items())[:most]]
    return ", ".join(kinds) + (", ..." if len(passed) > most else "")
