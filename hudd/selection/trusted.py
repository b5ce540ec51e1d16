"""Images on which the DNN is trusted: their predicted classes stand in for labels, so that it keeps what it can do."""

from __future__ import annotations

import numpy as np

from hudd.errors import UsageError


def select_trusted(doubt: np.ndarray, prediction: np.ndarray, share: float) -> np.ndarray:
    """Choose the images that the DNN is least likely to be wrong about, the same share of every predicted class.

    Labels bought for errors are of images that are hard, often of few classes; trained on these alone, a DNN loses
    correct predictions on images from the field. Predictions that are trusted as labels (pseudo-labels, D.-H. Lee, ICML
    workshops 2013) hold them.

    Parameters
    ----------
    doubt : np.ndarray
        (M,) non-negative scores, see :attr:`Candidates.doubt`.
    prediction : np.ndarray
        (M,) int predicted classes.
    share : float
        Of the images of each predicted class, 0 to 1, rounded to whole images.

    Returns
    -------
    np.ndarray
        (T,) int64 rows in ascending order.

    Raises
    ------
    UsageError
        If lengths differ, the share is not from 0 to 1, or a doubt is not a number.
    """
    doubt, prediction = np.asarray(doubt), np.asarray(prediction)
    if doubt.shape != prediction.shape or doubt.ndim != 1:
        raise UsageError(
            f"there are doubts of shape {doubt.shape} but predictions of shape {prediction.shape}; give one of each an "
            "image."
        )
    if not 0 <= share <= 1:
        raise UsageError(f"the share of trusted images must be from 0 to 1, not {share}.")
    if np.isnan(doubt).any():
        row = int(np.flatnonzero(np.isnan(doubt))[0])
        raise UsageError(f"the doubt about image {row} is not a number; check the model's output.")
    order = np.lexsort((np.arange(len(doubt)), doubt, prediction))
    of_class = prediction[order]
    first = np.searchsorted(of_class, of_class)
    size = np.searchsorted(of_class, of_class, side="right") - first
    within = np.arange(len(order)) - first < np.round(share * size)
    chosen: np.ndarray = np.sort(order[within]).astype(np.int64)
    return chosen
