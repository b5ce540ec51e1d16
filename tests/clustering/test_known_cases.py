"""Small cases with known answers, in the manner of the tests that SciPy and scikit-learn hold themselves to."""

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from hudd.clustering import linkage
from hudd.clustering.vectors import linkage_vectors
from hudd.clustering.wicd import flat_labels

# Road distances between six Italian cities (Bari, Florence, Milan, Naples, Rome, Turin), the textbook case.
CITIES = [662, 877, 255, 412, 996, 295, 468, 268, 400, 754, 564, 138, 219, 869, 669]
MEAN = np.mean([662, 877, 996, 468, 754, 869, 268, 564, 669])  # Bari, Naples, Rome to Florence, Milan, Turin
MERGES = {
    "single": [[2, 5, 138, 2], [3, 4, 219, 2], [0, 7, 255, 3], [1, 8, 268, 4], [6, 9, 295, 6]],
    "complete": [[2, 5, 138, 2], [3, 4, 219, 2], [1, 6, 400, 3], [0, 7, 412, 3], [8, 9, 996, 6]],
    "average": [[2, 5, 138, 2], [3, 4, 219, 2], [0, 7, 333.5, 3], [1, 6, 347.5, 3], [8, 9, MEAN, 6]],
    "weighted": [[2, 5, 138, 2], [3, 4, 219, 2], [0, 7, 333.5, 3], [1, 6, 347.5, 3], [8, 9, 670.125, 6]],
}


@pytest.mark.slow
@pytest.mark.parametrize("method", MERGES)
def test_cities(method):
    np.testing.assert_allclose(linkage(CITIES, method), MERGES[method], rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "height"),
    [
        ("single", 2**0.5),
        ("complete", 8**0.5),
        ("average", 4.5**0.5),
        ("weighted", 4.5**0.5),
        ("ward", 6**0.5),
    ],
)
def test_a_tie_on_a_line(method, height):
    z = linkage(pdist([[-1, -1], [0, 0], [1, 1]]), method)
    np.testing.assert_allclose(z, [[0, 1, 2**0.5, 2], [2, 3, height, 3]], rtol=1e-6)


@pytest.mark.parametrize("method", ["single", "complete", "average", "weighted", "ward"])
def test_every_distance_the_same(method):
    for n in (2, 3, 7, 20):
        z = linkage(np.ones(n * (n - 1) // 2), method)
        assert hierarchy.is_valid_linkage(z)
        if method == "ward":
            assert z[0, 2] == pytest.approx(1)
        else:
            np.testing.assert_allclose(z[:, 2], 1, rtol=1e-6)


@pytest.mark.parametrize("method", ["single", "complete", "average", "weighted", "ward"])
def test_cophenetic_distances_agree_with_scipy(method):
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 50, (40, 3)).astype(float)
        x += 1e-3 * np.random.default_rng(seed + 100).random((40, 3))  # no ties, whose order is free
        d = pdist(x)
        found, wanted = (hierarchy.cophenet(z) for z in (linkage(d, method), hierarchy.linkage(d, method)))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_wards_heights_are_growths_of_the_sum_of_squares():
    x = np.random.default_rng(0).standard_normal((25, 4))
    for z in (linkage(pdist(x)), linkage_vectors(x)):
        scatter = []
        for k in range(1, 26):
            labels = flat_labels(z, k)
            parts = [x[labels == label] for label in range(1, labels.max() + 1)]
            scatter.append(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts))
        np.testing.assert_allclose(z[::-1, 2] ** 2 / 2, -np.diff(scatter), rtol=1e-4)
