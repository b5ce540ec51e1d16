"""Reductions of the dimension of rows before they are clustered."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, get_args

import numpy as np

from hudd.caches import require_kernel_cache
from hudd.errors import UsageError
from hudd.lazy import decomposition, random_projection
from hudd.presets import Reduction


def check_reduction(name: str) -> None:
    """Refuse a reduction that is unknown or whose package is missing."""
    if name not in get_args(Reduction):
        raise UsageError(f"reduction '{name}' is unknown; choose one of: {', '.join(get_args(Reduction))}.")
    if name == "umap" and find_spec("umap") is None:
        raise UsageError(
            "reduction 'umap' needs the package umap-learn; run pip install '.[umap]' in hudd's "
            "source tree, or choose another."
        )


def reduce_rows(rows: np.ndarray, reduction: Reduction, components: int, seed: int) -> tuple[np.ndarray, Any]:
    """Reduce rows, and return what reduces further rows in the same way: scikit-learn's object, or None.

    Parameters
    ----------
    rows : ndarray, (N, D) float32
        Finite.
    reduction : {"none", "pca", "umap", "random-projection"}
        Fewer than three rows, and equal ones, stay as they are.
    components : int
        Dimensions to keep, at most what rows and features allow.
    seed : int
        Seed of what draws at random.

    Returns
    -------
    reduced : ndarray, (N, d) float32
    method : object or None
        With ``transform``, from (M, D) to (M, d).
    """
    n, width = rows.shape
    if reduction == "none" or n < 3 or (rows == rows[0]).all():
        return rows, None  # nothing to reduce, or nothing to tell rows apart by
    kept = min(components, width)
    if reduction == "pca":
        method: Any = decomposition.PCA(min(kept, n), random_state=seed)
    elif reduction == "random-projection":
        method = random_projection.GaussianRandomProjection(kept, random_state=seed)
    else:
        require_kernel_cache("pynndescent", "reduction 'umap'")
        import umap

        # min_dist 0 packs what is near, as suits density clustering; one job makes the seed decide.
        method = umap.UMAP(
            n_components=min(kept, n - 2),
            n_neighbors=min(15, n - 1),
            min_dist=0.0,
            random_state=seed,
            n_jobs=1,
        )
    return np.ascontiguousarray(method.fit_transform(rows), np.float32), method
