"""CSV and Parquet files as tables: separators, headers and words for nothing as people write them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hudd.data.files import first
from hudd.errors import UsageError

_LARGEST = 1 << 30  # bytes
_LONGEST_HEADER = 1 << 20
_WIDEST = 1000  # columns
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_TEXT_COLUMNS = ("path", "label", "split")
NONE = frozenset((  # pandas' own
    "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "None", "NULL", "null", "NaN", "nan", "-NaN", "-nan",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
))  # fmt: skip


@dataclass
class Table:
    """A table as it was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns path, label and split, where there are such, under just these names; in a CSV they are text.
    first_line : int
        Line of the file that holds the first row; 0 where rows have no lines.
    remarks : list of str
        In what the file differs from a plain CSV file, a sentence each.
    """

    frame: Any
    first_line: int
    remarks: list[str] = field(default_factory=list)


def read_table(file: Path) -> Table:
    """Read a CSV (UTF-8, with a header; also with semicolons, tabs or bars in place of commas) or Parquet file.

    Raises
    ------
    UsageError
        If it cannot be read, is larger than memory or patience, or names a column twice.
    """
    import pandas as pd

    try:
        _check_extent(file)
        table = _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file)
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
    twice = table.frame.columns[table.frame.columns.duplicated()]
    if len(twice):
        raise UsageError(f"manifest '{file}' has the column '{twice[0]}' twice; keep one of them.")
    _name_columns(table, file)
    return table


def texts(column: Any, file: Path) -> list[str]:
    """Return values as text, "" where there is none."""
    try:
        return ["" if gone else str(value) for value, gone in zip(column, column.isna())]
    except UnicodeDecodeError as error:
        raise UsageError(
            f"column '{column.name}' of '{file}' holds text that is not UTF-8; write it as UTF-8."
        ) from error


def _read_parquet(file: Path) -> Table:
    import pandas as pd

    return Table(pd.read_parquet(file), 0)


def _read_csv(file: Path) -> Table:
    import pandas as pd

    separator, header, skipped = _header(file)
    text = {name: str for name in header if _plain(name) in _TEXT_COLUMNS}
    blanks = any(name != name.lstrip() for name in header)
    # A class may be called None or NA: only an empty cell holds nothing.
    frame = pd.read_csv(
        file,
        sep=separator,
        skiprows=skipped,
        dtype={**text, **{name.strip(): str for name in text}},
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
        skipinitialspace=blanks,
        encoding="utf-8-sig",
    )
    table = Table(frame, 2 + skipped)
    if separator != ",":
        table.remarks.append(f"'{file.name}' was read as separated by {_SEPARATORS[separator]}.")
    for name in frame.columns:
        if _plain(name) not in _TEXT_COLUMNS:
            frame[name] = _numbers(frame[name], decimal_comma=separator == ";")
    return table


def _header(file: Path) -> tuple[str, list[str], int]:
    """Return the separator, the names of the columns, and the lines before them.

    The separator is the one by which there is a column "path"; spreadsheets may announce it in a line "sep=;".
    """
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        line = stream.readline(_LONGEST_HEADER)
        announced = re.fullmatch(r'"?sep=(.)"?\s*', line)
        if announced and announced[1] in _SEPARATORS:
            return announced[1], _cells(stream.readline(_LONGEST_HEADER), announced[1]), 1
    found = {separator: _cells(line, separator) for separator in _SEPARATORS}
    fitting = [separator for separator in found if "path" in map(_plain, found[separator])]
    separator = max(fitting or [","], key=lambda one: len(found[one]))
    return separator, found[separator], 0


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator, skipinitialspace=False), [])


def _plain(name: object) -> str:
    return str(name).strip().strip('"').casefold()


def _name_columns(table: Table, file: Path) -> None:
    """Find path, label and split where they are written in capitals or with blanks."""
    stripped = {name: name.strip() for name in table.frame.columns if isinstance(name, str)}
    if len(set(stripped.values())) == len(stripped):
        table.frame = table.frame.rename(columns=stripped)
    for wanted in _TEXT_COLUMNS:
        if wanted in table.frame.columns:
            continue
        found = [name for name in table.frame.columns if _plain(name) == wanted]
        if len(found) > 1:
            raise UsageError(
                f"manifest '{file}' has the columns {first(found)}; call one of them '{wanted}'."
            )
        if found:
            table.frame = table.frame.rename(columns={found[0]: wanted})
            table.remarks.append(f"column '{found[0]}' of '{file.name}' was read as '{wanted}'.")


def _numbers(column: Any, *, decimal_comma: bool) -> Any:
    """Read a column of numbers and words for none as numbers; any other column stays as it is."""
    import pandas as pd

    if column.dtype.kind != "O" or column.isna().all():
        return column
    gone = column.isin(NONE)
    if column[~gone].isna().all():
        return column
    kept = column.mask(gone)
    if decimal_comma:
        kept = kept.map(_point, na_action="ignore")
    elif not gone.any():
        return column
    try:
        return pd.to_numeric(kept)
    except ValueError:
        return column


def _point(value: Any) -> Any:
    """Write a number with a point that has a decimal comma, as where semicolons separate."""
    return value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 else value


def _check_extent(file: Path) -> None:
    """Refuse a table that memory or patience would not outlast; a manifest is held whole."""
    if file.suffix.lower() != ".parquet":
        size = file.stat().st_size
        with file.open("rb") as stream:
            line = stream.readline(_LONGEST_HEADER)
        columns = max(map(line.count, (separator.encode() for separator in _SEPARATORS))) + 1
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
