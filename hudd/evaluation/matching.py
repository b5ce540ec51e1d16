"""Groups of one clustering found again in another one of the same images."""

from __future__ import annotations

import numpy as np

_LEAST = 0.5  # of the smaller group that has to be in the other one


def match_groups(one: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Return which groups are the same in two clusterings, each group at most once.

    The pairs are those with the largest sum of Jaccard coefficients (H. W. Kuhn, Nav. Res. Logist. Q. 2, 1955) among
    the pairs that have at least half of the smaller group in common. So a group that has shrunk to a few of its images
    is the same one, and one that a few images have moved to is not.

    Parameters
    ----------
    one, other : np.ndarray
        (N,) int group of each image from 1; below 1 it is in none.

    Returns
    -------
    list of (int, int)
        Ascending.
    """
    from scipy.optimize import linear_sum_assignment  # takes longer to import than results take to show

    one, other = (np.maximum(np.asarray(labels, np.int64), 0) for labels in (one, other))
    common = np.zeros((one.max(initial=0) + 1, other.max(initial=0) + 1), np.int64)
    np.add.at(common, (one, other), 1)
    sizes, other_sizes = common.sum(axis=1)[1:, None], common.sum(axis=0)[None, 1:]
    common = common[1:, 1:]
    union = np.maximum(sizes + other_sizes - common, 1)
    same = (common > 0) & (common >= _LEAST * np.minimum(sizes, other_sizes))
    rows, columns = linear_sum_assignment(np.where(same, common / union, 0), maximize=True)
    return [(int(row) + 1, int(column) + 1) for row, column in zip(rows, columns) if same[row, column]]
