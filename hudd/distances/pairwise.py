"""Pairwise Euclidean distances: exact to float32 at the speed of a matrix product.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` needs one symmetric matrix product, but loses the digits of close
pairs to cancellation. So the columns are centred first (distances do not change, the norms shrink), every
pair whose squared distance is still a small share of its two squared norms is marked, and marked pairs are
recomputed by direct differences. Both passes go by blocks of features, so rows may lie in a file.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from hudd.distances.job import SHARE, Job
from hudd.distances.threads import workers
from hudd.errors import UsageError

Method = Literal["auto", "gram", "direct"]
_DEFAULT_MEMORY = 256 << 20


def pairwise_distances(
    X: Any,
    Y: Any = None,
    *,
    method: Method = "auto",
    squared: bool = False,
    condensed: bool = False,
    unit_norm: bool = False,
    device: Any = None,
    max_memory: int = _DEFAULT_MEMORY,
) -> np.ndarray:
    """Compute the Euclidean distances between the rows of X, or between those of X and those of Y.

    Parameters
    ----------
    X : array_like or h5py.Dataset, shape (N, ...)
        One item a row; trailing axes are flattened. Any real type; float16 is computed in float32, and
        close pairs of float64 in float64. Anything with ``shape``, ``dtype`` and basic slicing
        is read by blocks and never held whole.
    Y : array_like or h5py.Dataset, shape (M, ...), optional
        The other rows; same number of features.
    method : {"auto", "gram", "direct"}
        ``gram``: matrix product and refinement. ``direct``: differences of every pair. ``auto`` takes
        ``direct`` for fewer than 16 features.
    squared : bool
        Return squared distances.
    condensed : bool
        Return the upper triangle of X against itself by rows, (N (N - 1) / 2,), as SciPy does.
    unit_norm : bool
        Divide each row by its Euclidean norm first; close pairs are then computed in float64.
    device : str or torch.device, optional
        ``"cpu"`` or ``"cuda"``: matrix products of torch there; by default the products of NumPy.
    max_memory : int
        Bytes of working memory in addition to the result, about; at least 16 MiB.

    Returns
    -------
    ndarray, float32
        (N, N), (N, M) or condensed. Relative error at most 1e-5 for every pair, equal rows at distance
        0; differences below 1e-19 of the largest magnitude count as 0, and with `unit_norm` distances below
        1e-15.

    Raises
    ------
    UsageError
        If shapes, types or options do not fit, or a value is NaN or infinite; the message names the row.
    HuddError
        If a distance exceeds float32.
    """
    if method not in ("auto", "gram", "direct"):
        raise UsageError(f"method '{method}' is unknown; choose one of: auto, gram, direct.")
    if condensed and Y is not None:
        raise UsageError("condensed distances are those of X with itself; leave out Y or condensed.")
    if max_memory < 16 << 20:
        raise UsageError(f"max_memory is {max_memory} bytes; give at least {16 << 20}.")
    if device is not None:
        from hudd.distances import device as on_device  # brings torch

        where = on_device.usable(device)
    with workers() as each:
        job = Job(X, Y, condensed, unit_norm, squared, max_memory, each)
        direct = method == "direct" or (method == "auto" and job.features < 16)
        if device is None:
            job.run(direct=direct)
        else:
            on_device.fill(job, where, float(SHARE), direct=direct)
        return job.result()
