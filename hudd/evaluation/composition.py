"""Composition of the unsafe set, compared with the improvement set that it was chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hudd.errors import UsageError


def unsafe_composition(
    image: np.ndarray, cluster: np.ndarray, columns: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """Describe the chosen images column by column: all of them, cluster by cluster, and the whole set for comparison.

    Parameters
    ----------
    image : np.ndarray
        (S,) int rows of the improvement set.
    cluster : np.ndarray
        (S,) int cluster of each.
    columns : mapping of str to np.ndarray
        (M,) columns over the improvement set: labels, predictions, ``correct``, entropy, parameters.

    Returns
    -------
    dict
        Column to ``{"set": ..., "chosen": ..., "clusters": {cluster: ...}}``. Numbers are described by count,
        quartiles and mean; text, whole numbers and truth values by ``{value: share}``, most frequent first.

    Raises
    ------
    UsageError
        If lengths differ.
    """
    image, cluster = np.asarray(image), np.asarray(cluster)
    if image.shape != cluster.shape:
        raise UsageError(f"{len(image)} chosen images need a cluster each, not {len(cluster)}.")
    table = {}
    for name, column in columns.items():
        column = np.asarray(column)
        if column.ndim != 1 or (len(image) and len(column) <= image.max()):
            raise UsageError(f"column '{name}' has shape {column.shape} but row {image.max()} was chosen.")
        table[name] = {
            "set": _describe(column),
            "chosen": _describe(column[image]),
            "clusters": {int(c): _describe(column[image[cluster == c]]) for c in np.unique(cluster)},
        }
    return table


def _describe(values: np.ndarray) -> dict[str, float]:
    """Shares of a categorical column, quartiles of a continuous one."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
        if not len(values):
            return {"count": 0}
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return {"count": len(values), "mean": float(values.mean()), "q25": low, "median": middle, "q75": high}
    names, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[i]): float(counts[i] / len(values)) for i in order}
