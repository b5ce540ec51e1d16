"""A table of image files: path, label and any parameter columns."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hudd.data.assignment import Assignment, unlabelled, whole_numbers
from hudd.data.classes import from_names, from_numbers, from_texts
from hudd.data.files import FileSource, first
from hudd.data.tables import NONE, read_table, texts
from hudd.data.targets import arrays_of, read_arrays
from hudd.errors import UsageError
from hudd.lazy import torch

MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet")


def open_manifest(
    file: Path,
    split: str | None = None,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> FileSource:
    """Open a CSV (UTF-8, with a header) or Parquet manifest.

    Columns: ``path`` (needed; relative to the manifest's folder, or absolute), ``label`` (a class name or a class
    number; empty or missing where unknown) and ``split`` (optional). Every other column is a parameter of the images.
    Without labels, a column of ``.npy`` files is read: each holds numbers to predict of its image, (T,), or (K, 2) for
    landmarks.
    In columns of numbers NA, nan, None and the like are empty, too; among text they are text. Semicolons, tabs and
    bars are taken for separators, ``Label`` for ``label``, and backslashes for slashes where only so a file is there.

    Parameters
    ----------
    file : Path
        The manifest.
    split : str, optional
        Take the rows whose ``split`` column says this; needed where several splits share the file.
    transform : callable, optional
        See :class:`hudd.data.ImageSource`.
    class_names : sequence of str, optional
        The network's classes in order. Labels are matched by name first, see :func:`hudd.data.classes.match`.

    Raises
    ------
    UsageError
        If the file cannot be read, a column or split is missing, a file occurs twice, or a row's class is unknown.
    """
    read = read_table(file)
    table = read.frame
    if "path" not in table.columns:
        raise UsageError(
            f"manifest '{file}' has no column 'path' (it has {first(map(str, table.columns))}); "
            "name the column of the image files so."
        )
    rows = np.arange(len(table))
    if "split" in table.columns or split is not None:
        rows = _rows_of(table, split, file)
        table = table.iloc[rows]
    if not len(table):
        raise UsageError(f"manifest '{file}' has no rows; it needs one row per image.")

    def where(row: int) -> str:
        # A person looks for the line of a text file; the header is line 1.
        if read.first_line:
            return f"line {rows[row] + read.first_line} of '{file}'"
        return f"row {rows[row]} of '{file}'"

    written = texts(table["path"], file)
    paths = [_there(path, file.parent) for path in written]
    _check_paths(paths, file.parent, where)
    labelled = "label" in table.columns
    assignment = (
        _assign(table["label"], class_names, where, file) if labelled else unlabelled(len(paths), class_names)
    )
    parameters = {
        str(name): _parameter(table[name], file)
        for name in table.columns
        if name not in ("path", "label", "split")
    }
    arrays = {} if labelled else _arrays(parameters, file.parent, where)
    source = FileSource(
        [file.parent / path for path in paths],
        paths,
        assignment.labels,
        assignment.class_names,
        parameters,
        transform,
    )
    source.assignment, source.arrays = assignment, arrays
    if len(arrays) == 1:
        source.target_names = next(iter(arrays.values()))
    source.remarks = [*read.remarks, *_changed(written, paths, file)]
    if not labelled:
        columns = first(map(str, table.columns))
        source.without_labels = (
            f"manifest '{file}' has no column 'label' (it has {columns}); name the column of the classes so"
        )
    return source


def _arrays(
    parameters: dict[str, np.ndarray], folder: Path, where: Callable[[int], str]
) -> dict[str, list[str]]:
    """Put the numbers of array files in place of the columns that name them; return the columns' new names."""
    found = {}
    for name, written in arrays_of(parameters).items():
        columns = read_arrays(name, [_there(cell, folder) for cell in written], folder, where)
        del parameters[name]
        for taken in columns.keys() & parameters.keys():
            raise UsageError(
                f"column '{name}' holds arrays, whose numbers are called '{taken}' and so on, and there is a column "
                f"'{taken}'; rename it."
            )
        parameters.update(columns)
        found[name] = list(columns)
    return found


def _there(path: str, folder: Path) -> str:
    """Return the path as it leads to a file: of another spelling only where there is none of its own."""
    if path.isascii() and "\\" not in path and path == path.strip():
        return path
    return next((spelled for spelled in _spellings(path) if _exists(folder / spelled)), path)


def _spellings(path: str) -> Iterator[str]:
    yield path
    slashed = path.strip().replace("\\", "/")
    yield from (path.strip(), slashed)
    yield from (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):
        return False


def _check_paths(paths: list[str], folder: Path, where: Callable[[int], str]) -> None:
    """Refuse rows without a file, and files that are named twice, by links or other spellings too."""
    seen: dict[str, int] = {}
    folders: dict[str, str] = {}
    for row, path in enumerate(paths):
        if not path:
            raise UsageError(f"{where(row)} has no path; every row names an image.")
        above, name = os.path.split(os.path.normpath(folder / path) if "\0" not in path else path)
        if above not in folders:
            folders[above] = os.path.realpath(above) if "\0" not in above else above
        file = f"{folders[above]}/{name}"
        if "\0" not in file and os.path.islink(file):  # noqa: PTH114 - Path is slow
            file = os.path.realpath(file)
        if file in seen:
            other = paths[seen[file]]
            spelled = f"'{path}'" if other == path else f"'{other}' by the name '{path}'"
            raise UsageError(
                f"{where(row)} names {spelled} once more (first: {where(seen[file])}); keep one of them."
            )
        seen[file] = row


def _changed(written: list[str], paths: list[str], file: Path) -> list[str]:
    """Say which paths were read in another spelling."""
    other = [(a, b) for a, b in zip(written, paths) if a != b]
    if not other:
        return []
    what = "path was" if len(other) == 1 else "paths were"
    return [
        f"{len(other):,} {what} read in another spelling in '{file.name}': '{other[0][0]}' as '{other[0][1]}'."
    ]


def _rows_of(table: Any, split: str | None, file: Path) -> np.ndarray:
    if "split" not in table.columns:
        raise UsageError(
            f"manifest '{file}' has no column 'split', so '{split}' cannot be picked; leave '::{split}' out."
        )
    column = np.array([text.strip() for text in texts(table["split"], file)], dtype=object)
    names = sorted(set(column))
    if split is None and len(names) > 1:
        raise UsageError(
            f"manifest '{file}' holds the splits {first(names)}; say which, e.g. '{file}::{next(filter(None, names))}'."
        )
    if split is not None and split.strip() not in names:
        raise UsageError(f"manifest '{file}' has no split '{split}'; choose one of {first(names)}.")
    return np.arange(len(column)) if split is None else np.flatnonzero(column == split.strip())


def _assign(
    column: Any, class_names: Sequence[str] | None, where: Callable[[int], str], file: Path
) -> Assignment:
    if column.dtype.kind in "iuf":
        numbers = whole_numbers(column.to_numpy(dtype=float, na_value=np.nan), where, "columns of their own")
        return from_numbers(numbers, class_names, where)
    if column.dtype.kind == "b":
        return from_names(texts(column, file), class_names, where)
    return from_texts(texts(column, file), class_names, where, none=NONE)


def _parameter(column: Any, file: Path) -> np.ndarray:
    if column.dtype.kind in "biuf":
        numbers: np.ndarray = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    return np.array(texts(column, file), dtype=str)
