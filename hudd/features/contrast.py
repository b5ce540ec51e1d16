"""What sets failures apart from correctly classified images.

Failures differ in many ways that have nothing to do with why they fail, as images of any kind do. How much, the images
that the DNN gets right show. So features are whitened by the covariance of those, as Mahalanobis distances to normal
images are (K. Lee et al., NeurIPS 2018), in the principal components of both kinds together (compare contrastive
principal components, A. Abid et al., Nature Communications 9, 2018). The covariance may be a trimmed one (compare P.
Rousseeuw, K. Van Driessen, Technometrics 41(3), 1999), as some images that the DNN gets right have what makes others
fail. docs/root-cause-quality.md has what that brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hudd.distances.threads import one_blas_thread
from hudd.lazy import linalg

COMPONENTS = 150
_SHRINKAGE = 0.1  # of the covariance towards a multiple of the identity
_STRIP = 4096  # columns that are multiplied at a time, to be added up in float64
_TRIMMINGS = 3  # rounds, after which hardly another image is left out
_NOTHING = 1e-10  # variance, as a share of the greatest, below which a component is rounding


@dataclass(frozen=True)
class Contrast:
    """A linear map to directions in which normal images all vary alike; the longer a row, the less normal the image.

    Attributes
    ----------
    centre : np.ndarray
        (d,) float64 mean of the normal images.
    directions : np.ndarray
        (d, q) float64.
    """

    centre: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(
        cls,
        failures: np.ndarray,
        normal: np.ndarray,
        trimmed: float = 0.0,
        components: int = COMPONENTS,
    ) -> Contrast:
        """Find the directions; the same to the bit for any number of threads.

        Parameters
        ----------
        failures : np.ndarray
            (n, d) float32 features of images that the DNN gets wrong, one at least.
        normal : np.ndarray
            (m, d) float32 features of correctly classified images. Of fewer than two nothing can be learned: the
            components are then those of the failures, as they are.
        trimmed : float
            Share of the normal images that is left out: those farthest from the mean, in the directions of the others.
        components : int
            Directions at most.
        """
        rows = np.concatenate([failures, normal])
        rows -= rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        with one_blas_thread():
            variances, vectors = _greatest(_products(rows), components)
            axes = rows.T @ (vectors / np.sqrt(variances)).astype(np.float32)
            at = vectors * np.sqrt(variances)
            usual = at[len(failures) :]
            kept = _usual(usual, trimmed) if trimmed else slice(None)
            directions = axes.astype(np.float64) @ _whitening(usual[kept])
        centre = (normal[kept] if len(normal) > 1 else failures).mean(axis=0, dtype=np.float64)
        return cls(centre, directions)


def _products(rows: np.ndarray) -> np.ndarray:
    """(n, n) float64 scalar products of the rows with each other."""
    found = np.zeros((len(rows), len(rows)))
    for start in range(0, rows.shape[1], _STRIP):
        strip = rows[:, start : start + _STRIP]
        found += strip @ strip.T
    return found


def _greatest(products: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Greatest eigenvalues, (q,), and their vectors, (n, q), of which the largest number is positive."""
    size = len(products)
    last = (max(0, size - count), size - 1)
    values, vectors = linalg.eigh(products, subset_by_index=last)
    kept = values > _NOTHING * max(values[-1], np.finfo(np.float64).tiny)
    values, vectors = values[kept], vectors[:, kept]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
    return values, vectors * signs


def _usual(normal: np.ndarray, trimmed: float) -> np.ndarray:
    """Rows that are left without the given share of the farthest ones, ascending; at least two where there are two."""
    kept = np.arange(len(normal))
    count = max(2, len(normal) - int(trimmed * len(normal)))
    for _ in range(_TRIMMINGS if count < len(normal) else 0):
        away = np.square((normal - normal[kept].mean(axis=0)) @ _whitening(normal[kept])).sum(axis=1)
        kept = np.sort(np.argsort(away, kind="stable")[:count])
    return kept


def _whitening(normal: np.ndarray) -> np.ndarray:
    """(q, q) map that gives rows like these the unit matrix for a covariance, as far as the shrinkage lets it."""
    width = normal.shape[1]
    if len(normal) < 2 or not width:
        return np.eye(width)
    covariance = np.cov(normal.T).reshape(width, width)
    level = np.trace(covariance) / width
    if not level > 0:
        return np.eye(width)
    values, axes = linalg.eigh((1 - _SHRINKAGE) * covariance + _SHRINKAGE * level * np.eye(width))
    whitening: np.ndarray = axes / np.sqrt(values)
    return whitening
