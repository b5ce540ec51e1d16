"""Which columns of an Arrow table hold the images, their labels and their parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hudd.data.files import first
from hudd.data.index import Builder
from hudd.errors import UsageError

_IMAGES = (
    "image",
    "img",
    "picture",
    "pixels",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "bytes",
    "image_bytes",
    "content",
)
_NAMES = ("path", "file_name", "filename", "__key__", "key", "id", "image_id")
_LARGEST = 1e300


@dataclass
class Features:
    """The columns of a table by what they are.

    Attributes
    ----------
    image : str
        The column of the images: bytes, or a struct of ``bytes`` and ``path``.
    is_struct : bool
        Which of the two.
    label : str or None
        The column of the labels.
    class_names : list of str
        Names of the classes, where the table has them.
    parameters : list of str
        Columns of numbers or text.
    nested : list of str
        Columns that are passed over.
    """

    image: str
    is_struct: bool
    label: str | None = None
    class_names: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)


def has_images(schema: Any) -> bool:
    """Say whether a table has a column of image bytes."""
    return bool(_candidates(schema))


def features_of(schema: Any, table: str) -> Features:
    """Find the columns of a table, by what ``datasets`` says of them where it has written it, else by type and name.

    Parameters
    ----------
    schema : pyarrow.Schema
    table : str
        Its name, for errors.

    Raises
    ------
    UsageError
        If no column, or none of several, is the one of the images.
    """
    import pyarrow as pa

    candidates = _candidates(schema)
    if not candidates:
        raise UsageError(
            f"'{table}' has no column of images (it has {first(schema.names)}); a column 'image' holds the "
            "bytes of image files, or structs of 'bytes' and 'path'."
        )
    named = [name for name in candidates if name in _IMAGES[:2]]
    if len(candidates) > 1 and len(named) != 1:
        raise UsageError(f"'{table}' has the image columns {first(candidates)}; call the one to use 'image'.")
    image = named[0] if named else candidates[0]
    told = _told(schema)
    classes = [name for name, about in told.items() if about.get("_type") == "ClassLabel"]
    label = "label" if "label" in schema.names else classes[0] if len(classes) == 1 else None
    names = [str(name) for name in told.get(label or "", {}).get("names") or ()]
    found = Features(image, pa.types.is_struct(schema.field(image).type), label, names)
    for name in schema.names:
        kind = schema.field(name).type
        if name in (image, label):
            continue
        plain = not pa.types.is_nested(kind) and not _is_binary(kind)
        (found.parameters if plain else found.nested).append(name)
    return found


def add_rows(found: Builder, batch: Any, features: Features, start: int, stem: str) -> None:
    """Add the rows of a record batch to an index.

    Parameters
    ----------
    found : Builder
    batch : pyarrow.RecordBatch
    features : Features
    start : int
        Number of its first row in the file.
    stem : str
        What images without a name are called by, with their number.
    """
    for row, (path, content, fields) in enumerate(_rows(batch, features), start):
        fault = None
        if content is None:
            fault = (
                f"image '{path or row}' in '{found.file}' cannot be decoded (its bytes are not in the table); "
                "replace it or leave it out."
            )
        found.add(path or f"{stem}[{row}]", row, content or b"", fields, fault)
        if not path:
            found.pass_over(UNNAMED)


UNNAMED = "images without a name"


def _rows(batch: Any, features: Features) -> Iterator[tuple[str, bytes | None, dict[str, str | float]]]:
    column = batch.column(features.image)
    contents = column.field("bytes") if features.is_struct else column
    has_path = features.is_struct and "path" in [one.name for one in column.type]
    paths = column.field("path").to_pylist() if has_path else [None] * batch.num_rows
    wanted = [*([features.label] if features.label else []), *features.parameters]
    others = [batch.column(name).to_pylist() for name in wanted]
    naming = next((wanted.index(name) for name in _NAMES if name in features.parameters), None)
    for row, path in enumerate(paths):
        fields: dict[str, str | float] = {}
        for name, values in zip(wanted, others):
            value = values[row]
            if value is None:
                continue
            if not isinstance(value, (str, int, float)) or abs_large(value):
                value = str(value)
            fields["label" if name == features.label else name] = value
        if path is None and naming is not None:
            path = str(others[naming][row] or "")
        yield path or "", contents[row].as_py(), fields


def abs_large(value: str | float) -> bool:
    """Say whether a number is too large to be kept as one."""
    return not isinstance(value, str) and abs(value) >= _LARGEST


def _candidates(schema: Any) -> list[str]:
    import pyarrow as pa

    told = _told(schema)
    found = []
    for name in schema.names:
        kind = schema.field(name).type
        inside = {one.name: one.type for one in kind} if pa.types.is_struct(kind) else {}
        image = told.get(name, {}).get("_type") == "Image"
        if _is_binary(inside.get("bytes")) or (_is_binary(kind) and (image or name.lower() in _IMAGES)):
            found.append(name)
    stated = [name for name in found if told.get(name, {}).get("_type") == "Image"]
    return stated or found


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return kind is not None and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _told(schema: Any) -> dict[str, Any]:
    """Return what ``datasets`` has written about the columns."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return (
        {name: about for name, about in told.items() if isinstance(about, dict)}
        if isinstance(told, dict)
        else {}
    )
