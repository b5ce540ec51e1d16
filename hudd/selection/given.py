"""Images that were chosen elsewhere, read from a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hudd.data.files import first
from hudd.data.tables import read_table, texts
from hudd.errors import UsageError


def listed_images(file: str | Path, paths: Sequence[str]) -> np.ndarray:
    """Return the rows of the images that a list names, in its order.

    Parameters
    ----------
    file : str or Path
        CSV or Parquet file with a column ``path``, the identifiers of improvement images; other columns are ignored.
    paths : sequence of str
        (M,) identifiers of the improvement images.

    Returns
    -------
    np.ndarray
        (S,) int64 distinct rows.

    Raises
    ------
    UsageError
        If the file cannot be read, names no image, one that is not there, or one twice.
    """
    file = Path(file)
    if not file.is_file():
        raise UsageError(f"there is no list of images at '{file}'; give a .csv with the column 'path'.")
    frame = read_table(file).frame
    if "path" not in frame.columns:
        raise UsageError(
            f"'{file}' has the columns {', '.join(map(str, frame.columns))}; a list of images needs 'path'."
        )
    named = [name for name in texts(frame["path"], file) if name]
    row_of = {path: row for row, path in enumerate(paths)}
    unknown = [name for name in named if name not in row_of]
    if unknown:
        raise UsageError(
            f"{len(unknown):,} of the {len(named):,} images in '{file}' are not in the improvement set: "
            f"{first(unknown)}; name them as 'hudd label' does, such as '{paths[0]}'."
        )
    if not named:
        raise UsageError(f"'{file}' names no image; give one a row, in the column 'path'.")
    rows = np.array([row_of[name] for name in named], np.int64)
    twice = rows[np.setdiff1d(np.arange(len(rows)), np.unique(rows, return_index=True)[1])]
    if len(twice):
        raise UsageError(f"'{file}' names '{paths[twice[0]]}' twice; name every image once.")
    return rows
