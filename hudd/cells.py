"""Cells of CSV files as spreadsheets may open them: no name becomes a formula, no control character gets through.

A text that begins like a formula, or holds a control character, gets an apostrophe in front and escapes for what
cannot be shown. So does one that begins with an apostrophe, so that :func:`unguarded` reverses :func:`guarded`
exactly.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "'",
)  # full-width ones in some locales
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = {short: long for long, short in _SHORT.items()}
_ESCAPE = re.compile(r"\\(?:[\\nrt]|u[0-9a-f]{4})")


def guarded(value: Any) -> Any:
    """Return a value as a cell of a CSV file; all but text stays as it is."""
    if not isinstance(value, str) or not (value.startswith(_FORMULA) or _HIDDEN.search(value)):
        return value
    return "'" + re.sub(rf"\\|{_HIDDEN.pattern}", lambda found: _escaped(found[0]), value)


def unguarded(cell: str) -> str:
    """Return the text that :func:`guarded` made a cell of."""
    if not cell.startswith("'"):
        return cell
    return _ESCAPE.sub(lambda found: _LONG.get(found[0]) or chr(int(found[0][2:], 16)), cell[1:])


def match_cell(cell: str, is_known: Callable[[str], bool]) -> str:
    """Return the text that a cell stands for: as :func:`guarded` writes it, else as people may type it.

    Parameters
    ----------
    cell : str
        The cell.
    is_known : callable
        Says whether there is such a text.
    """
    typed = (unguarded(cell), cell, unguarded(cell.strip()), cell.strip())
    return next(filter(is_known, typed), typed[2])


def to_csv(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """Return a table as a CSV file in UTF-8, header and texts :func:`guarded`."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(guarded, header))
    for row in rows:
        writer.writerow([guarded(value.item() if isinstance(value, np.generic) else value) for value in row])
    return text.getvalue().encode()


def frame_to_csv(frame: pd.DataFrame) -> bytes:
    """Return a data frame as a CSV file in UTF-8, header and texts :func:`guarded`, without its index."""
    safe = frame.copy()
    for at, dtype in enumerate(frame.dtypes):
        if dtype.kind not in "biufcmM":
            safe.isetitem(at, frame.iloc[:, at].astype(object).map(guarded))
    safe.columns = [guarded(str(name)) for name in frame.columns]
    text: str = safe.to_csv(index=False)
    return text.encode()


def _escaped(character: str) -> str:
    return _SHORT.get(character) or f"\\u{ord(character):04x}"
