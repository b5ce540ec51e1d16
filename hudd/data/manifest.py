"""A table of image files: path, label and any parameter columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hudd.data.files import FileSource, first
from hudd.data.labels import UNKNOWN, from_names, from_numbers
from hudd.errors import UsageError

MANIFEST_SUFFIXES = (".csv", ".parquet")


def open_manifest(
    file: Path,
    split: str | None = None,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> FileSource:
    """Open a CSV (UTF-8, with a header) or Parquet manifest.

    Columns: ``path`` (needed; relative to the manifest's folder, or absolute), ``label`` (a class number or a class
    name; empty or missing where unknown) and ``split`` (optional). Every other column is a parameter of the images.
    In columns of numbers NA, nan, None and the like are empty, too; beside text they are text.

    Parameters
    ----------
    file : Path
        The manifest.
    split : str, optional
        Take the rows whose ``split`` column says this; needed where several splits share the file.
    transform : callable, optional
        See :class:`hudd.data.ImageSource`.
    class_names : sequence of str, optional
        The network's classes in order. Whole numbers in ``label`` are always class numbers, text is looked up by name.

    Raises
    ------
    UsageError
        If the file cannot be read, a column or split is missing, a path occurs twice, or a row's class is unknown.
    """
    table = _read(file)
    if "path" not in table.columns:
        raise UsageError(
            f"manifest '{file}' has no column 'path' (it has {first(table.columns)}); "
            "name the column of the image files so."
        )
    rows = np.arange(len(table))
    if "split" in table.columns or split is not None:
        rows = _rows_of(table, split, file)
        table = table.iloc[rows]
    if not len(table):
        raise UsageError(f"manifest '{file}' has no rows; it needs one row an image.")

    def where(row: int) -> str:
        # A person looks for the line of a CSV file; the header is line 1.
        return (
            f"line {rows[row] + 2} of '{file}'"
            if file.suffix.lower() == ".csv"
            else f"row {rows[row]} of '{file}'"
        )

    paths = _texts(table["path"], file)
    seen: dict[str, int] = {}
    for row, path in enumerate(paths):
        if not path:
            raise UsageError(f"{where(row)} has no path; every row names an image.")
        if path in seen:
            raise UsageError(
                f"{where(row)} names '{path}' once more (first: {where(seen[path])}); keep one of them."
            )
        seen[path] = row
    labels, known = None, None
    if "label" in table.columns:
        labels, known = _labels(table["label"], class_names, where, file)
    if labels is None:
        labels, known = np.full(len(paths), UNKNOWN), list(class_names or [])
    parameters = {
        str(name): _parameter(table[name], file)
        for name in table.columns
        if name not in ("path", "label", "split")
    }
    return FileSource(
        [file.parent / path for path in paths], paths, labels, known or [], parameters, transform
    )


def _read(file: Path) -> Any:
    import pandas as pd

    try:
        _check_extent(file)
        if file.suffix.lower() == ".csv":
            # A class may be called None or NA: only an empty cell holds nothing.
            text = {"path": str, "split": str}
            table = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)
            for name in table.columns.difference(list(text)):
                table[name] = _numbers(table[name])
        else:
            table = pd.read_parquet(file)
    except UsageError:
        raise
    except ImportError as error:
        raise UsageError(
            f"reading '{file}' needs pyarrow; run pip install '.[parquet]' in hudd's source "
            "tree, or use a CSV manifest."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise UsageError(f"manifest '{file}' is empty; it needs a header with the column 'path'.") from error
    except Exception as error:  # pandas and pyarrow have no one error for a file that they cannot read
        reason = f"{error or type(error).__name__}".strip().rstrip(".")
        raise UsageError(
            f"manifest '{file}' cannot be read ({reason}); write it as CSV in UTF-8 or as Parquet."
        ) from error
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise UsageError(f"manifest '{file}' has the column '{twice[0]}' twice; keep one of them.")
    return table


def _numbers(column: Any) -> Any:
    """Read a column of numbers and words for none as numbers; any other column stays as it is."""
    import pandas as pd

    gone = column.isin(_NONE)
    if column.dtype.kind != "O" or not gone.any() or column[~gone].isna().all():
        return column
    try:
        return pd.to_numeric(column.mask(gone))
    except ValueError:
        return column


_NONE = (  # pandas' own
    "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "None", "NULL", "null", "NaN", "nan", "-NaN", "-nan",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip


def _check_extent(file: Path) -> None:
    """Refuse a table that memory or patience would not outlast; a manifest is held whole."""
    if file.suffix.lower() == ".csv":
        size = file.stat().st_size
        with file.open("rb") as stream:
            columns = stream.readline(_LONGEST_HEADER).count(b",") + 1
    else:
        from pyarrow import parquet

        with parquet.ParquetFile(file) as stream:
            about = stream.metadata
            size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
            size, columns = max(size, 8 * about.num_rows), about.num_columns
    if size > _LARGEST:
        raise UsageError(
            f"manifest '{file}' holds {size / 2**30:,.1f} GiB and is read at once; give at most "
            f"{_LARGEST / 2**30:.0f} GiB: leave columns out, or split it."
        )
    if columns > _WIDEST:
        raise UsageError(
            f"manifest '{file}' has {columns:,} columns, each a parameter of the images; give at most {_WIDEST:,}."
        )


_LARGEST = 1 << 30  # bytes
_LONGEST_HEADER = 1 << 20
_WIDEST = 1000  # columns


def _texts(column: Any, file: Path) -> list[str]:
    """Values as text, "" where there is none."""
    try:
        return ["" if gone else str(value) for value, gone in zip(column, column.isna())]
    except UnicodeDecodeError as error:
        raise UsageError(
            f"column '{column.name}' of '{file}' holds text that is not UTF-8; write it as UTF-8."
        ) from error


def _rows_of(table: Any, split: str | None, file: Path) -> np.ndarray:
    if "split" not in table.columns:
        raise UsageError(
            f"manifest '{file}' has no column 'split', so '{split}' cannot be picked; leave '::{split}' out."
        )
    column = np.array(_texts(table["split"], file), dtype=object)
    names = sorted(set(column))
    if split is None and len(names) > 1:
        raise UsageError(
            f"manifest '{file}' holds the splits {first(names)}; say which, e.g. '{file}::{next(filter(None, names))}'."
        )
    if split is not None and split not in names:
        raise UsageError(f"manifest '{file}' has no split '{split}'; choose one of {first(names)}.")
    return np.arange(len(column)) if split is None else np.flatnonzero(column == split)


def _labels(
    column: Any, class_names: Sequence[str] | None, where: Callable[[int], str], file: Path
) -> tuple[np.ndarray, list[str]]:
    if column.dtype.kind in "iuf":
        numbers = column.fillna(UNKNOWN).to_numpy(dtype=float)
        broken = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.floor(numbers)))
        if broken.size:
            row = int(broken[0])
            raise UsageError(
                f"{where(row)} has label {numbers[row]}; a label is a whole number or a class name."
            )
        return from_numbers(numbers, class_names, where)
    return from_names(_texts(column, file), class_names, where)


def _parameter(column: Any, file: Path) -> np.ndarray:
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array(_texts(column, file), dtype=str)
