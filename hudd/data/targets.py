"""Numbers to predict that come as an array for each image: made into columns, which may lack some values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hudd.errors import UsageError

ARRAY_SUFFIX = ".npy"
_MOST = 1000  # numbers an image
_FORM = "a file holds the numbers of one image, (T,), or (K, 2) for landmarks, the same in every file"


def target_columns(
    values: np.ndarray, names: Sequence[str] | None, what: str, named_by: str
) -> dict[str, np.ndarray]:
    """Return numbers to predict as columns by name.

    Parameters
    ----------
    values : numpy.ndarray
        (N, T), or (N, K, 2) places x and y of landmarks; NaN where unknown.
    names : sequence of str or None
        (T,) or (K,) names; None counts from "0".
    what, named_by : str
        Where the values and the names are from, for errors.

    Returns
    -------
    dict of str to numpy.ndarray
        (N,) float64 each; of a landmark ``NAME_x`` and ``NAME_y``.

    Raises
    ------
    UsageError
        If the values are no numbers or of another shape, or there is not one name of each.
    """
    shape = values.shape
    if not (values.ndim == 2 or (values.ndim == 3 and shape[2] == 2)) or values.dtype.kind not in "biuf":
        raise UsageError(
            f"{what} is {values.dtype} of shape {shape}; it must be numbers, ({len(values)}, T), or "
            f"({len(values)}, K, 2) for landmarks."
        )
    own = [str(name) for name in (range(shape[1]) if names is None else names)]
    if len(own) != shape[1] or len(set(own)) < len(own):
        raise UsageError(
            f"{named_by} has {len(set(own))} different names for {shape[1]} targets; give one of each."
        )
    columns = own if values.ndim == 2 else [f"{name}_{axis}" for name in own for axis in "xy"]
    return dict(zip(columns, values.reshape(len(values), -1).T.astype(np.float64)))


def arrays_of(parameters: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the columns that name an array file for each image, those that are not empty, with what they name."""
    found = {}
    for name, values in parameters.items():
        written = values.tolist() if values.dtype.kind == "U" else []
        if any(written) and all(cell.lower().endswith(ARRAY_SUFFIX) for cell in written if cell):
            found[name] = written
    return found


def read_arrays(
    column: str, written: Sequence[str], folder: Path, where: Callable[[int], str]
) -> dict[str, np.ndarray]:
    """Read a column of array files, (T,) or (K, 2) numbers each.

    Parameters
    ----------
    column : str
        Its name, which the names of the numbers begin with.
    written : sequence of str
        (N,) files, relative to `folder` or absolute; "" where the numbers are unknown.
    folder : Path
        The manifest's.
    where : callable
        Row number to the words that name the row in an error.

    Raises
    ------
    UsageError
        If a file cannot be read, or holds something else than the other ones.
    """
    there = {row: _read(folder / cell, row, where) for row, cell in enumerate(written) if cell}
    first_row, first = next(iter(there.items()))
    if not first.size or not (first.ndim == 1 or (first.ndim == 2 and first.shape[1] == 2)):
        raise UsageError(
            f"{where(first_row)} names '{written[first_row]}', which holds an array of shape {first.shape}; {_FORM}."
        )
    if first.size > _MOST:
        raise UsageError(
            f"{where(first_row)} names '{written[first_row]}', which holds {first.size:,} numbers; give at most "
            f"{_MOST:,} numbers to predict an image."
        )
    values = np.full((len(written), *first.shape), np.nan)
    for row, array in there.items():
        if array.shape != first.shape:
            raise UsageError(
                f"{where(row)} names '{written[row]}', which holds an array of shape {array.shape}, and "
                f"'{written[first_row]}' one of {first.shape}; {_FORM}."
            )
        values[row] = array
    names = [f"{column}_{number}" for number in range(first.shape[0])]
    return target_columns(values, names, f"column '{column}'", f"column '{column}'")


def _read(file: Path, row: int, where: Callable[[int], str]) -> np.ndarray:
    try:
        array = np.load(
            file, mmap_mode="r", allow_pickle=False
        )  # the header is checked before the values are read
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            held = array.dtype if isinstance(array, np.ndarray) else "an archive"
            raise UsageError(f"{where(row)} names '{file}', which holds {held}, no numbers; {_FORM}.")
        return array
    except FileNotFoundError:
        raise UsageError(
            f"{where(row)} names '{file}', which is not there; correct the path, or leave the cell empty where the "
            "targets are unknown."
        ) from None
    except UsageError:
        raise
    except Exception as error:  # NumPy's header parser has many kinds
        reason = f"{error or type(error).__name__}".strip().splitlines()[0].rstrip(".")
        raise UsageError(
            f"{where(row)} names '{file}', which cannot be read ({reason}); write it with numpy.save(file, numbers)."
        ) from error
