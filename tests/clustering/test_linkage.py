import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from hudd.clustering import linkage
from hudd.clustering.linkage import condensed_at
from hudd.errors import UsageError

METHODS = ["ward", "average", "complete", "weighted", "single"]


def naive(condensed, method):
    """Heights of greedy clustering by the definition: merge the closest two until one is left."""
    n = round((1 + np.sqrt(1 + 8 * len(condensed))) / 2)
    d = np.full((n, n), np.inf)
    d[np.triu_indices(n, 1)] = condensed
    d = np.minimum(d, d.T)
    sizes, heights = np.ones(n), []
    for _ in range(n - 1):
        x, y = np.unravel_index(np.argmin(d), d.shape)
        heights.append(d[x, y])
        a, b, s = sizes[x], sizes[y], sizes
        new = {
            "single": np.minimum(d[x], d[y]),
            "complete": np.maximum(d[x], d[y]),
            "average": (a * d[x] + b * d[y]) / (a + b),
            "weighted": (d[x] + d[y]) / 2,
            "ward": np.sqrt(((a + s) * d[x] ** 2 + (b + s) * d[y] ** 2 - s * d[x, y] ** 2) / (a + b + s)),
        }[method]
        d[y], d[:, y] = new, new
        d[x], d[:, x], d[y, y] = np.inf, np.inf, np.inf
        sizes[y] += sizes[x]
    return np.array(heights)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 9, 40, 333])
def test_agrees_with_scipy(method, n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 5)) + 4 * rng.standard_normal((7, 5))[rng.integers(0, 7, n)]
    condensed = pdist(x).astype(np.float32)
    found, wanted = linkage(condensed, method), hierarchy.linkage(condensed.astype(np.float64), method)
    np.testing.assert_array_equal(found[:, [0, 1, 3]], wanted[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], wanted[:, 2], rtol=5e-6)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_agrees_with_the_definition(method, seed, n):
    condensed = pdist(np.random.default_rng(seed).random((n, 3)))
    np.testing.assert_allclose(linkage(condensed, method)[:, 2], np.sort(naive(condensed, method)), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_ties_give_a_valid_dendrogram(method, seed, n):
    x = np.random.default_rng(seed).integers(0, 3, (n, 2))  # duplicates and many equal distances
    z = linkage(pdist(x), method)
    assert hierarchy.is_valid_linkage(z)
    assert hierarchy.is_monotonic(z)
    duplicates = len(x) - len(np.unique(x, axis=0))
    assert (z[:, 2] == 0).sum() == duplicates
    assert len(np.unique(hierarchy.fcluster(z, 0, "distance"))) == n - duplicates


@pytest.mark.parametrize("method", ["single", "complete", "weighted"])
def test_ties_are_broken_as_scipy_breaks_them(method):
    # Small integers, their maxima and halves are exact in float32: both see the same ties.
    for seed in range(30):
        condensed = np.random.default_rng(seed).integers(1, 4, 15 * 14 // 2)
        wanted = hierarchy.linkage(condensed.astype(float), method)
        np.testing.assert_array_equal(linkage(condensed, method), wanted)


def test_ward_on_equally_spaced_points():
    # 0 1 | 2 3 | 4 5 | 6 7 and so on up: heights of unions of a and b points at distance g are g sqrt(2ab/(a+b)).
    z = linkage(pdist(np.arange(8.0)[:, None]))
    np.testing.assert_allclose(z[:, 2], [1, 1, 1, 1, 2 * np.sqrt(2), 2 * np.sqrt(2), 4 * 2], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e25, 1e300])
def test_scale_does_not_matter(scale):
    condensed = pdist(np.random.default_rng(0).random((30, 3)))
    dtype = np.float64 if not 1e-30 < scale < 1e30 else np.float32
    found = linkage((condensed * scale).astype(dtype))
    np.testing.assert_allclose(found[:, 2], linkage(condensed)[:, 2] * scale, rtol=1e-6)


def test_input_is_left_alone_unless_overwritten():
    condensed = pdist(np.random.default_rng(1).random((50, 3))).astype(np.float32)
    before = condensed.copy()
    wanted = linkage(condensed)
    np.testing.assert_array_equal(condensed, before)
    np.testing.assert_array_equal(linkage(condensed, overwrite=True), wanted)
    assert (condensed != before).any()
    with pytest.raises(UsageError, match="overwrite"):
        linkage(before.astype(np.float64), overwrite=True)


def test_one_point_and_equal_points():
    assert linkage([]).shape == (0, 4)
    for method in METHODS:
        assert (linkage(np.zeros(10), method)[:, 2] == 0).all()


@pytest.mark.parametrize(
    ("condensed", "method", "message"),
    [
        (np.ones(3), "centroid", "'centroid'"),
        (np.ones(4), "ward", "fits no N"),
        (np.ones((3, 3)), "ward", "condensed"),
        ([1, np.nan, 1], "ward", "distance 1 is nan"),
        ([1, 1, np.inf], "ward", "distance 2 is inf"),
        ([-1, 1, 1], "ward", "distance 0 is -1"),
    ],
)
def test_wrong_calls_say_what_to_do(condensed, method, message):
    with pytest.raises(UsageError, match=message):
        linkage(condensed, method)


def test_the_place_of_a_pair():
    pairs = np.stack(np.triu_indices(7, 1))
    assert condensed_at(7, *pairs).tolist() == condensed_at(7, *pairs[::-1]).tolist() == list(range(21))
    assert condensed_at(7, np.array([0, 6]), 2).tolist() == [1, 14]


def test_single_linkage_beyond_float32() -> None:
    small = np.array([1.0, 4.0, 3.0])
    np.testing.assert_array_equal(
        linkage(small * 2.0**200, "single")[:, 2], linkage(small, "single")[:, 2] * 2.0**200
    )
