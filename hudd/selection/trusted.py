"""Images on which the DNN is trusted: their predicted classes stand in for labels, so that it keeps what it can do."""

from __future__ import annotations

import numpy as np

from hudd.errors import UsageError


def select_trusted(
    failure: np.ndarray, bound: float, *, most: int | None = None, seed: int = 0
) -> np.ndarray:
    """Choose the images on which the DNN is estimated to fail no more often than a bound.

    Labels bought for errors are of images that are hard, often of few classes; trained on these alone, a DNN loses
    correct predictions on images from the field. Predictions that are trusted as labels (pseudo-labels, D.-H. Lee, ICML
    workshops 2013) hold them. The estimate is not the DNN's own confidence, which is highest on some of its errors.

    Parameters
    ----------
    failure : np.ndarray
        (M,) estimated probabilities of failure, see :func:`failure_rate`.
    bound : float
        The largest of them that is trusted, 0 to 1.
    most : int, optional
        Images to choose at most; of more they are drawn. By default all.
    seed : int
        Seed of this draw.

    Returns
    -------
    np.ndarray
        (T,) int64 rows in ascending order.

    Raises
    ------
    UsageError
        If the bound is not from 0 to 1, `most` is negative, or an estimate is not a number.
    """
    failure = np.asarray(failure)
    if failure.ndim != 1:
        raise UsageError(
            f"probabilities of failure have shape {failure.shape}; give (M,), one of each image."
        )
    if not 0 <= bound <= 1:
        raise UsageError(f"the bound of trusted images must be from 0 to 1, not {bound}.")
    if most is not None and most < 0:
        raise UsageError(f"most must be at least 0, not {most}.")
    if np.isnan(failure).any():
        row = int(np.flatnonzero(np.isnan(failure))[0])
        raise UsageError(
            f"the probability of failure of image {row} is not a number; check the model's output."
        )
    rows: np.ndarray = np.flatnonzero(failure <= bound).astype(np.int64)
    if most is None or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 1 << 23]).choice(rows, most, replace=False))
