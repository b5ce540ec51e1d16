"""Where to doubt the DNN: failures on test images with like heatmaps, and doubt as a lottery."""

from __future__ import annotations

from typing import Any

import numpy as np

from hudd.distances import pairwise_distances
from hudd.errors import UsageError
from hudd.selection.closest import heatmap_blocks


def failure_rate(
    images: Any,
    test: Any,
    correct: np.ndarray,
    *,
    neighbours: int = 10,
    unit_norm: bool = False,
    memory: int = 1 << 28,
) -> np.ndarray:
    """Estimate each image's probability of failure from its nearest test images, right and wrong ones.

    The estimate is (wrong among the k nearest + overall error rate) / (k + 1), so never 0. Multiplied by the
    entropy it finds more errors than either alone.

    Parameters
    ----------
    images : array-like or iterable of array-like
        Heatmaps of the M improvement images, at once or in blocks (b, ...).
    test : array-like
        (T, ...) heatmaps of test images at the same layer, an array or an HDF5 dataset; all of them or a
        random part.
    correct : np.ndarray
        (T,) bool, whether the DNN is right on each.
    neighbours : int
        k, at most T.
    unit_norm : bool
        Divide every heatmap by its Euclidean norm first.
    memory : int
        Bytes of heatmaps to hold at a time on either side.

    Returns
    -------
    np.ndarray
        (M,) float64 in (0, 1) where the DNN fails at least once, else 0.

    Raises
    ------
    UsageError
        If lengths or shapes differ, or there are fewer test images than neighbours.
    """
    correct = np.asarray(correct, bool)
    if len(correct) != len(test):
        raise UsageError(f"there are {len(test)} test heatmaps but {len(correct)} answers; give one each.")
    if not 1 <= neighbours <= len(test):
        raise UsageError(f"neighbours must be 1 to {len(test)}, the number of test images, not {neighbours}.")
    row = np.asarray(test[:1])
    rows = max(1, memory // max(1, row.size * 4))
    if len(test) <= rows:
        test = np.asarray(test[:])
    rates = [np.empty(0)]
    for block in heatmap_blocks(images, row.shape[1:], rows):
        nearest = np.full((len(block), neighbours), np.inf, np.float32)
        wrong = np.zeros(nearest.shape)
        for start in range(0, len(test), rows):
            piece = slice(start, start + rows)
            distances = np.hstack([nearest, pairwise_distances(block, test[piece], unit_norm=unit_norm)])
            failed = np.hstack([wrong, np.broadcast_to(~correct[piece], (len(block), len(correct[piece])))])
            first = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
            nearest, wrong = np.take_along_axis(distances, first, 1), np.take_along_axis(failed, first, 1)
        rates.append((wrong.sum(axis=1) + (~correct).mean()) / (neighbours + 1))
    return np.concatenate(rates)


def sampled_doubt(doubt: np.ndarray, *, seed: int) -> np.ndarray:
    """Turn doubt into random scores whose largest are a sample without replacement, weighted by the doubt.

    Taking the most doubtful images takes many that are alike; a weighted sample is spread out (Gumbel top-k,
    Kool et al., ICML 2019; stochastic batch acquisition, Kirsch et al., TMLR 2023).

    Parameters
    ----------
    doubt : np.ndarray
        (M,) non-negative weights, e.g. ``failure_rate(...) * entropy``.
    seed : int
        Seed of the lottery.

    Returns
    -------
    np.ndarray
        (M,) finite float64: log(doubt) + Gumbel noise, for `uncertainty` of :func:`select_unsafe`.

    Raises
    ------
    UsageError
        If a weight is negative or not a number.
    """
    doubt = np.asarray(doubt, np.float64)
    if not (np.isfinite(doubt) & (doubt >= 0)).all():
        raise UsageError("doubt must be finite and not negative; check the model's output.")
    noise = np.random.default_rng([seed, 1 << 21]).gumbel(size=len(doubt))
    keys: np.ndarray = np.log(np.maximum(doubt, 1e-300)) + noise
    return keys
