"""Distances given in place of rows: what is accepted as such, and what must not be taken for rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from hudd.clustering.linkage import check_condensed
from hudd.errors import UsageError

# Of the largest entry: what float32 arithmetic leaves on the diagonal of distances taken by a matrix product.
_ROUNDING = 1e-3


def as_array(data: Any) -> Any:
    """Return data with a shape: an array, or what is read by slices as it is."""
    if hasattr(data, "detach"):  # a torch tensor
        return data.detach().cpu().numpy()
    if hasattr(data, "toarray"):
        raise UsageError(f"data are a sparse {type(data).__name__}; give a dense array, data.toarray().")
    return data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)


def condensed_distances(distances: Any) -> np.ndarray:
    """Return condensed distances, (N (N - 1) / 2,), from square or condensed ones.

    Parameters
    ----------
    distances : array_like, (N, N) or (N (N - 1) / 2,)
        A square matrix must be symmetric and have zeros on its diagonal, both up to float32 rounding: a
        thousandth of its largest entry. The mean of both triangles is taken.

    Returns
    -------
    ndarray
        Uncopied where condensed.

    Raises
    ------
    UsageError
        If the shape is of neither form, the matrix is not one of distances, or a value is negative or not
        finite; the message names the row.
    """
    values = np.asarray(as_array(distances))
    if values.ndim == 1:
        return check_condensed(values)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not len(values):
        raise UsageError(
            f"distances have shape {values.shape}; give a square matrix, (N, N), or a condensed one, "
            "(N (N - 1) / 2,), as SciPy's pdist returns."
        )
    if values.dtype.kind not in "fiu":
        raise UsageError(f"distances have dtype {values.dtype}; give real numbers, such as float32.")
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    bad = ~(np.isfinite(values) & (values >= 0))
    np.fill_diagonal(bad, ~np.isfinite(values.diagonal()))
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise UsageError(
            f"the distance of rows {row} and {column} is {values[row, column]}; distances must be finite and not "
            "negative: set what rounding has left below 0 to 0, and leave out rows without distances."
        )
    slack = _ROUNDING * float(values.max())
    diagonal = int(np.abs(values.diagonal()).argmax())
    if abs(float(values[diagonal, diagonal])) > slack:
        raise UsageError(
            f"the distance of row {diagonal} to itself is {values[diagonal, diagonal]:.6g}; distances have zeros on "
            "the diagonal. Of similarities give distances, such as 1 - similarities."
        )
    apart = np.abs(values - values.T)
    if float(apart.max()) > slack:
        row, column = (int(index) for index in np.unravel_index(apart.argmax(), apart.shape))
        raise UsageError(
            f"distances are not symmetric: {values[row, column]:.6g} from row {row} to {column}, "
            f"{values[column, row]:.6g} back; give symmetric ones, such as (distances + distances.T) / 2, or rows of "
            "features without metric='precomputed'."
        )
    upper = np.triu_indices(len(values), 1)
    condensed: np.ndarray = (values[upper] + values.T[upper]) / 2
    return condensed


def refuse_distances(data: Any, remedy: str) -> None:
    """Refuse a square matrix of distances or similarities where rows of features are expected.

    Parameters
    ----------
    data : ndarray or h5py.Dataset
        What was given as rows, with a shape.
    remedy : str
        What to do with distances, as the end of a sentence.

    Raises
    ------
    UsageError
        If the matrix is symmetric with a constant diagonal that is its smallest or its largest magnitude, as
        those of distances and of similarities are and rows of features are not.
    """
    shape = tuple(data.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        return
    values = np.asarray(data[:] if not isinstance(data, np.ndarray) else data)
    if values.dtype.kind not in "fiu":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
        diagonal, largest = values.diagonal(), float(np.abs(values).max())
        slack = _ROUNDING * largest
        symmetric = largest > 0 and bool((np.abs(values - values.T) <= slack).all())
        if not symmetric or np.ptp(diagonal) > slack:
            return
        others = values[~np.eye(len(values), dtype=bool)]
    if abs(float(diagonal[0])) <= slack:
        kind, advice = "distances: square, symmetric, with zeros on its diagonal", remedy
    elif float(diagonal[0]) >= largest - slack and np.ptp(others) > slack:
        kind = "similarities: square, symmetric, with its largest value all along its diagonal"
        advice = f"give distances, such as 1 - similarities, and {remedy}"
    else:
        return
    raise UsageError(
        f"the rows given, {shape[0]} x {shape[1]}, are a matrix of {kind}; {advice}, or, where they are features all "
        "the same, with a column of zeros appended."
    )
