import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from hudd.clustering import chains, linkage, linkage_vectors, nearest, vectors
from hudd.clustering.centres import Centres, sum_in_halves
from hudd.clustering.nearest import Search, Tiling
from hudd.clustering.rounds import Rounds
from hudd.distances import pairwise_distances
from hudd.errors import HuddError, UsageError


@pytest.fixture
def in_rounds(monkeypatch):
    """Leave nothing to the matrix but the last clusters, and start no chain."""
    monkeypatch.setattr(vectors, "_WHOLE", 2)
    monkeypatch.setattr(vectors, "_REST", 2)
    monkeypatch.setattr(Rounds, "_chain_is_faster", lambda self, merged: False)


def by_scipy(x, method="ward"):
    return hierarchy.linkage(pdist(np.asarray(x, np.float64)), method)


def assert_same_tree(found, wanted):
    np.testing.assert_allclose(found[:, 2], wanted[:, 2], rtol=1e-9, atol=0)
    np.testing.assert_array_equal(found[:, [0, 1, 3]], wanted[:, [0, 1, 3]])


@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (40, 2), (150, 200), (90, 3, 5, 5)])
def test_agrees_with_the_matrix_form(shape, unit_norm):
    rng = np.random.default_rng(0)
    x = (
        rng.standard_normal(shape) + 3 * rng.standard_normal((5, *shape[1:]))[rng.integers(0, 5, shape[0])]
    ) * 1e8
    found = linkage_vectors(x, unit_norm=unit_norm)
    wanted = linkage(pairwise_distances(x, condensed=True, unit_norm=unit_norm))
    np.testing.assert_array_equal(found[:, [0, 1, 3]], wanted[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], wanted[:, 2], rtol=1e-5, atol=1e-7 * wanted[-1, 2])


@st.composite
def tables(draw):
    """Rows without equal distances: groups of any spread at any distance, constant columns, any scale."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, features = draw(st.integers(15, 120)), draw(st.integers(1, 12))
    groups = rng.standard_normal((draw(st.integers(1, 6)), features))
    spread = 10.0 ** draw(st.integers(-7, 1))
    x = groups[rng.integers(0, len(groups), n)] + spread * rng.standard_normal((n, features))
    x += draw(st.sampled_from([0.0, 0.0, 1.0, 1e4]))
    x = np.concatenate(
        [x, np.full((n, draw(st.integers(0, 2))), draw(st.sampled_from([0.0, 3.0, -1e5])))], axis=1
    )
    x *= 10.0 ** draw(st.integers(-30, 30))
    return x


@given(tables())
@settings(deadline=None, max_examples=60)
def test_rounds_give_the_tree_of_scipy(x):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_WHOLE", "_REST"):
            patch.setattr(vectors, name, 2)
        patch.setattr(Rounds, "_chain_is_faster", lambda self, merged: False)
        found = linkage_vectors(x)
    assert_same_tree(found, by_scipy(x))


@given(tables(), st.integers(2, 40))
@settings(deadline=None, max_examples=20)
def test_so_does_the_chain_on_centres(x, rest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_WHOLE", 2)
        patch.setattr(vectors, "_REST", rest)
        patch.setattr(Rounds, "run", lambda self, until, advance: None)
        found = linkage_vectors(x)
    assert_same_tree(found, by_scipy(x))


@given(tables(), st.integers(1, 10**5))
@settings(deadline=None, max_examples=40)
def test_single_linkage_is_that_of_scipy(x, step):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_STEP", step)
        assert_same_tree(linkage_vectors(x, "single"), by_scipy(x, "single"))


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 40), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_ties_of_single_linkage_too(seed, n, features, values):
    """Sums of integers are exact, so equal distances are equal here and there."""
    assume(n != features)  # a few square tables look like distances, which are refused
    x = np.random.default_rng(seed).integers(0, values, (n, features))
    found = linkage_vectors(x, "single")
    assert found.shape == (n - 1, 4)
    if n > 1:
        assert_same_tree(found, by_scipy(x, "single"))


@given(st.integers(0, 2**32), st.integers(5, 60), st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_ties_go_as_scipy_has_them(seed, n, features, values):
    """On integers nearly all distances are equal to others."""
    x = np.random.default_rng(seed).integers(0, values, (n, features))
    np.testing.assert_allclose(linkage_vectors(x)[:, 2], by_scipy(x)[:, 2], rtol=1e-9, atol=0)


@given(st.integers(0, 2**32), st.integers(5, 60), st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_rounds_through_ties_are_a_tree_of_ward(seed, n, features, values):
    """Each merge is of the nearest two clusters that there are."""
    x = np.random.default_rng(seed).integers(0, values, (n, features)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_WHOLE", "_REST"):
            patch.setattr(vectors, name, 2)
        patch.setattr(Rounds, "_chain_is_faster", lambda self, merged: False)
        z = linkage_vectors(x)
    assert hierarchy.is_valid_linkage(z)
    assert (z[:, 2] == 0).sum() == n - len(np.unique(x, axis=0))
    clusters = {i: x[i : i + 1] for i in range(n)}

    def apart(a, b):
        product, total = len(a) * len(b), len(a) + len(b)
        return np.sqrt(2 * product / total) * np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))

    for k, (a, b, height, _) in enumerate(z):
        left, right = clusters[int(a)], clusters[int(b)]
        assert apart(left, right) == pytest.approx(height, rel=1e-9, abs=1e-12)
        others = [apart(left, other) for i, other in clusters.items() if i != a]
        assert min(others) >= height - 1e-9 * max(height, 1)
        del clusters[int(a)], clusters[int(b)]
        clusters[n + k] = np.concatenate([left, right])


def test_neither_tiles_nor_threads_change_a_bit(in_rounds, monkeypatch):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.integers(0, 4, (150, 5)), rng.standard_normal((100, 5)), 1e3 + 1e-5 * rng.random((50, 5))]
    )
    found, threads = [], torch.get_num_threads()
    try:
        for strip, elements, count in ((512, 1 << 20, 1), (7, 512, 1), (64, 1 << 14, 2)):
            torch.set_num_threads(count)
            monkeypatch.setattr(Tiling, "on", classmethod(lambda cls, device, s=strip, e=elements: cls(s, e)))
            found.append(linkage_vectors(x))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 2, 3, 7, 64, 1300])
@pytest.mark.parametrize("far", [0.0, 1e3, 1e9])
def test_a_search_finds_the_nearest_of_any_size(features, far):
    rng = np.random.default_rng(features)
    n = 150
    x = rng.standard_normal((n, features)) + far * rng.integers(0, 2, (n, 1))
    sizes = rng.integers(1, 30, n).astype(float)
    centres = Centres(x, np.median(x, axis=0), np.arange(n), sizes, "cpu")
    search = Search(centres, Tiling(32, 1 << 11))
    gone = torch.tensor([0, 5, 149])
    search.drop(gone)
    rows = torch.tensor([i for i in range(n) if i not in gone])
    found, squares = search.nearest(rows)
    weights = 2 * np.outer(sizes, sizes) / np.add.outer(sizes, sizes)
    exact = ((x[:, None] - x) ** 2).sum(axis=2) * weights
    np.fill_diagonal(exact, np.inf)
    exact[:, gone] = np.inf
    np.testing.assert_array_equal(found, exact[rows].argmin(axis=1))
    np.testing.assert_allclose(squares, exact[rows].min(axis=1), rtol=1e-12)


def test_bounds_hold_where_products_err_most():
    """All terms of one sign and size, and norms far above the distance."""
    rng = np.random.default_rng(1)
    x = 1.0 + 1e-3 * rng.standard_normal((64, 3000))
    centres = Centres(x, np.zeros(3000), np.arange(64), np.ones(64), "cpu")
    for level in (Search(centres, Tiling(64, 4096)).single, Search(centres, Tiling(64, 4096)).double):
        products = nearest._product(
            torch.from_numpy(x).to(level.dtype), torch.from_numpy(x).to(level.dtype), level.block
        ).double()
        norms = (x**2).sum(axis=1)
        slack = level.relative * np.add.outer(norms, norms)
        assert (np.abs(2 * products.numpy() - 2 * x @ x.T) < slack).all()
        assert slack.max() < 1e4 * np.abs(2 * products.numpy() - 2 * x @ x.T).max() + 1e-3


@pytest.mark.parametrize("width", [1, 2, 3, 6, 31, 64, 1000])
def test_sums_have_the_same_bits_in_the_kernel_and_in_torch(width):
    rng = np.random.default_rng(width)
    rows, offsets = rng.standard_normal((2, 20, width))
    a, b = rng.integers(0, 20, (2, 50))
    kernel = np.empty(50)
    chains.square_differences(rows, np.arange(20), offsets, a, b, kernel)
    terms = torch.from_numpy((rows[a] - rows[b]) + (offsets[a] - offsets[b])).square()
    np.testing.assert_array_equal(kernel, sum_in_halves(terms))
    np.testing.assert_allclose(
        kernel, (((rows + offsets)[a] - (rows + offsets)[b]) ** 2).sum(axis=1), rtol=1e-12
    )


def test_duplicates_merge_at_zero(in_rounds):
    x = np.random.default_rng(1).integers(0, 3, (60, 2)) - 1.0
    x[x == 0] *= np.random.default_rng(2).choice([-1, 1], (x == 0).sum())  # zeros of both signs
    z = linkage_vectors(x)
    assert hierarchy.is_valid_linkage(z)
    assert hierarchy.is_monotonic(z)
    assert (z[:, 2] == 0).sum() == 60 - len(np.unique(x + 0.0, axis=0))


@pytest.mark.parametrize("x", [np.ones((40, 3)), np.zeros((40, 0)), np.full((40, 2), 1e-300)])
def test_rows_that_are_all_equal(x, in_rounds):
    np.testing.assert_array_equal(linkage_vectors(x)[:, 2], np.zeros(39))


def test_one_row():
    assert linkage_vectors(np.ones((1, 4))).shape == (0, 4)


def test_few_merges_a_round_are_left_to_the_chain(monkeypatch):
    monkeypatch.setattr(vectors, "_WHOLE", 2)
    monkeypatch.setattr(vectors, "_REST", 50)
    run = []
    chained = chains.on_centres
    monkeypatch.setattr(chains, "on_centres", lambda *state: run.append(1) or chained(*state))
    x = (np.arange(3000.0) ** 1.5)[:, None]
    assert_same_tree(linkage_vectors(x), by_scipy(x))
    assert run


def test_reads_a_file_by_blocks(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr(vectors, "_READ", 100)
    x = np.random.default_rng(0).standard_normal((50, 3, 4)).astype(np.float32)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        np.testing.assert_array_equal(
            linkage_vectors(file.create_dataset("rows", data=x)), linkage_vectors(x)
        )


def test_wrong_calls_say_what_to_do():
    for method in ("average", "complete", "weighted"):
        with pytest.raises(UsageError, match=rf"needs all distances: hudd\.linkage\(.*'{method}'\)"):
            linkage_vectors(np.ones((3, 4)), method)
    with pytest.raises(UsageError, match="'centroid' is unknown; choose one of: ward, average"):
        linkage_vectors(np.ones((3, 4)), "centroid")
    with pytest.raises(UsageError, match="'single' runs on the CPU, and device is 'cuda'"):
        linkage_vectors(np.ones((3, 4)), "single", device="cuda")
    with pytest.raises(UsageError, match="'single' writes no checkpoint"):
        linkage_vectors(np.ones((3, 4)), "single", checkpoint="linkage.checkpoint")
    with pytest.raises(UsageError, match="shape"):
        linkage_vectors(np.ones(4))
    with pytest.raises(UsageError, match="dtype complex128"):
        linkage_vectors(np.ones((9, 4), complex))
    with pytest.raises(UsageError, match="device"):
        linkage_vectors(np.ones((9, 4)), device="tpu")
    for value in (np.nan, np.inf, -np.inf):
        x = np.ones((9, 4))
        x[7, 1] = value
        for unit_norm in (False, True):
            with pytest.raises(UsageError, match="row 7"):
                linkage_vectors(x, unit_norm=unit_norm)


def test_heights_beyond_float64_are_refused():
    assert linkage_vectors(np.array([[1e308], [-7e307]]))[0, 2] == pytest.approx(1.7e308)
    with pytest.raises(HuddError, match="float64"):
        linkage_vectors(np.array([[1.7e308], [-1.7e308]]))
