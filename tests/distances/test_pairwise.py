import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hudd.distances import device as on_device
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.distances.rows import Rows
from hudd.errors import HuddError, UsageError


def reference(x, y):
    """Distances by the definition, in float64."""
    x, y = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (x, y))
    return np.array([np.sqrt(((a - y) ** 2).sum(axis=1)) for a in x])


def unit(x):
    """Rows of norm 1, beyond float64's digits; zero rows stay zero, and multiples of a row are the same."""
    rows = np.asarray(x, np.longdouble).reshape(len(x), -1)
    norms = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float64)


def relative_error(found, wanted):
    zero = wanted == 0
    assert (found[zero] == 0).all()
    return (np.abs(found - wanted)[~zero] / wanted[~zero]).max(initial=0.0)


@pytest.mark.parametrize("method", ["gram", "direct"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
@pytest.mark.parametrize(("n", "m", "features"), [(7, 5, 3), (65, 130, 33), (3, 70, 1030)])
def test_agrees_with_the_definition(method, dtype, n, m, features):
    rng = np.random.default_rng(0)
    x = (30 * rng.standard_normal((n, features))).astype(dtype)
    y = (30 * rng.standard_normal((m, features))).astype(dtype)
    y[0] = x[0]
    for found, wanted in (
        (pairwise_distances(x, method=method), reference(x, x)),
        (pairwise_distances(x, y, method=method), reference(x, y)),
        (pairwise_distances(x, method=method, condensed=True), reference(x, x)[np.triu_indices(n, 1)]),
        (pairwise_distances(x, y, method=method, squared=True), reference(x, y) ** 2),
    ):
        assert found.dtype == np.float32
        assert relative_error(found, wanted) < 1e-5


HARD = {
    "far from the origin": lambda x, rng: x + 1000,
    "clusters": lambda x, rng: 0.1 * x + rng.standard_normal((8, x.shape[1]))[rng.integers(0, 8, len(x))],
    "equal features, the worst case of a float32 sum": lambda x, rng: np.broadcast_to(x[:, :1], x.shape),
    "two opposed groups": lambda x, rng: 0.3 * x + np.where(np.arange(len(x)) % 2, 1, -1)[:, None],
    "sparse and heavy-tailed": lambda x, rng: np.abs(x) ** 3 * (rng.random(x.shape) < 0.05),
    "rows of all sizes": lambda x, rng: x * np.logspace(-5, 3, len(x))[:, None],
    "huge": lambda x, rng: 1e30 * x,
    "tiny": lambda x, rng: 1e-30 * x,
}


@pytest.mark.parametrize("case", HARD)
def test_every_pair_is_exact_to_float32_on_hard_data(case):
    rng = np.random.default_rng(1)
    x = HARD[case](rng.standard_normal((150, 6000)), rng).astype(np.float32)
    for row, distance in enumerate(np.logspace(-6, -4, 9)):  # near-duplicates at a relative distance
        x[100 + row] = x[row] * (1 + distance * rng.standard_normal(x.shape[1]))
    x[120] = x[20]
    assert relative_error(pairwise_distances(x), reference(x, x)) < 1e-5


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("direct", [False, True])
def test_a_torch_device_gives_the_same(case, direct):
    rng = np.random.default_rng(1)
    x = HARD[case](rng.standard_normal((60, 700)), rng).astype(np.float32)
    x[40:50] = x[:10] * (1 + 1e-5)
    x[50] = x[10]
    options = {"method": "direct" if direct else "gram", "device": "cpu", "max_memory": 16 << 20}
    assert relative_error(pairwise_distances(x, **options), reference(x, x)) < 1e-5
    assert relative_error(pairwise_distances(x, x[:9], **options), reference(x, x[:9])) < 1e-5
    condensed = pairwise_distances(x, condensed=True, **options)
    assert relative_error(condensed, reference(x, x)[np.triu_indices(60, 1)]) < 1e-5
    rows = unit(x)
    assert relative_error(pairwise_distances(x, unit_norm=True, **options), reference(rows, rows)) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_torch_device_adds_up_blocks_of_features(dtype):
    x = 100 + np.random.default_rng(3).standard_normal((80, 9000)).astype(dtype)
    x[40:] = x[:40] * (1 + 1e-4)
    for method in ("gram", "direct"):
        found = pairwise_distances(x, method=method, device="cpu", max_memory=16 << 20)
        assert relative_error(found, reference(x, x)) < 1e-5


@pytest.mark.parametrize("device", ["meta", "graphics", 1.5])
def test_a_device_without_kernels_is_refused(device):
    with pytest.raises(UsageError, match=r"can be computed on cpu or cuda\.$"):
        pairwise_distances(np.eye(3), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_missing_gpu_is_refused():
    with pytest.raises(UsageError, match="torch finds no GPU"):
        pairwise_distances(np.eye(3), device="cuda")


@pytest.mark.cuda
def test_a_cuda_device_is_exact():
    x = np.random.default_rng(0).standard_normal((3000, 5000)).astype(np.float32)
    x[2000:2100] = x[:100] * (1 + 1e-5)
    wanted = pairwise_distances(x, method="direct")
    assert relative_error(pairwise_distances(x, device="cuda"), wanted.astype(np.float64)) < 2e-5


def test_close_rows_of_float64_keep_their_digits():
    rng = np.random.default_rng(2)
    x = 1e6 + rng.standard_normal((20, 50))
    x[10:] = x[:10] + 1e-7 * rng.standard_normal((10, 50))
    assert relative_error(pairwise_distances(x), reference(x, x)) < 1e-5


@pytest.mark.parametrize("method", ["gram", "direct"])
def test_known_distances(method):
    x, y = np.array([[0, 0], [3, 4]]), np.array([[0, 0], [6, 8], [1, 0]])
    wanted = [[0, 10, 1], [5, 5, np.sqrt(20)]]
    np.testing.assert_allclose(pairwise_distances(x, y, method=method), wanted, rtol=1e-6)
    np.testing.assert_allclose(
        pairwise_distances(x, y, method=method, squared=True), np.square(wanted), rtol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("features", [1, 16, 100_000])
def test_a_small_gap_in_every_feature(dtype, gap, features):
    # Two rows, all ones and all ones plus a gap: the norms exceed the distance by up to 1e4.
    x, y = np.ones((1, features), dtype), np.full((1, features), 1 + gap, dtype)
    wanted = (float(y[0, 0]) - 1) * np.sqrt(features)
    assert pairwise_distances(x, y)[0, 0] == pytest.approx(wanted, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30),
        elements=st.floats(-100, 100, width=32),
    )
)
def test_laws_of_a_metric(x):
    d = pairwise_distances(x).astype(np.float64)
    assert (d == d.T).all()
    assert (np.diag(d) == 0).all()
    assert (d[:, None, :] <= (d[:, :, None] + d[None]) * (1 + 1e-5) + 1e-12).all()
    assert ((d == 0) | (x[:, None] != x[None]).any(axis=2)).all()
    np.testing.assert_array_equal(pairwise_distances(x, condensed=True), d[np.triu_indices(len(x), 1)])


def test_result_does_not_depend_on_threads(monkeypatch):
    x = np.random.default_rng(3).standard_normal((700, 300)).astype(np.float32)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(pairwise_distances(x, condensed=True))
    np.testing.assert_array_equal(*found)


def test_trailing_axes_are_features_and_layouts_do_not_matter():
    x = np.random.default_rng(4).standard_normal((12, 4, 5, 6)).astype(np.float32)
    wanted = reference(x, x)
    assert relative_error(pairwise_distances(x), wanted) < 1e-5
    assert relative_error(pairwise_distances(np.asfortranarray(x)), wanted) < 1e-5
    assert relative_error(pairwise_distances(torch.from_numpy(x)), wanted) < 1e-5
    assert relative_error(pairwise_distances(x.reshape(12, -1).tolist()), wanted) < 1e-5


def test_unit_norm():
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((40, 3, 9)) * np.logspace(-4, 4, 40)[:, None, None]).astype(np.float32)
    x[7] = 0
    x[20:27] = x[:7] * (1 + rng.standard_normal((7, 3, 9)) * np.logspace(-7, -3, 7)[:, None, None])
    x[27] = 3 * x[0]
    rows = unit_norm_rows(x)
    assert rows.shape == x.shape
    np.testing.assert_allclose(np.linalg.norm(np.delete(rows, 7, 0).reshape(39, -1), axis=1), 1, rtol=1e-6)
    assert not rows[7].any()
    d = pairwise_distances(x, unit_norm=True)
    assert relative_error(d, reference(unit(x), unit(x))) < 1e-5
    np.testing.assert_allclose(np.delete(d[7], 7), 1, rtol=1e-5)
    np.testing.assert_allclose(pairwise_distances(x, x[:5], unit_norm=True), d[:, :5], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_for_a_pair(n):
    x = np.ones((n, 20), np.float32)
    assert pairwise_distances(x, condensed=True).shape == (0,)
    assert pairwise_distances(x).shape == (n, n)
    assert pairwise_distances(x, np.ones((3, 20))).shape == (n, 3)


def test_no_features_no_distance():
    np.testing.assert_array_equal(pairwise_distances(np.ones((3, 0))), np.zeros((3, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_naming_the_row(value):
    x = np.ones((300, 40), np.float32)
    x[137, 11] = value
    what = "NaN" if np.isnan(value) else "infinite"
    with pytest.raises(UsageError, match=rf"row 137 of X holds .*{what}"):
        pairwise_distances(x)
    with pytest.raises(UsageError, match=rf"row 137 of Y holds .*{what}"):
        pairwise_distances(np.ones((3, 40)), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.ones(4)}, "shape"),
        ({"X": np.ones((2, 2), complex)}, "complex"),
        ({"X": np.array([["a"]])}, "real numbers"),
        ({"X": np.ones((2, 3)), "Y": np.ones((2, 4))}, "must agree"),
        ({"X": np.ones((2, 3)), "Y": np.ones((2, 3)), "condensed": True}, "condensed"),
        ({"X": np.ones((2, 3)), "method": "cosine"}, "cosine"),
        ({"X": np.ones((2, 3)), "max_memory": 1}, "max_memory"),
        ({"X": np.full((2, 3), 1e200)}, "squares overflow"),
    ],
)
def test_wrong_calls_say_what_to_do(arguments, message):
    with pytest.raises(UsageError, match=message):
        pairwise_distances(**arguments)


def test_distances_beyond_float32_are_refused():
    with pytest.raises(HuddError, match="float32"):
        pairwise_distances(np.array([[1e100, 0.0], [0.0, 1e100]]))
    with pytest.raises(HuddError, match="float32"):
        pairwise_distances(np.full((2, 40), 1e30) * [[1], [-1]], squared=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "memory"),
    [("f4", 1 << 13), (">f4", 1 << 13), ("u2", 1 << 13), ("f4", 1 << 16), ("f8", 1 << 16)]
    + [(dtype, 1 << 24) for dtype in ("f2", "f4", "f8", ">f4", "i2", "u1", "u2", "?")],
)
def test_a_device_with_any_memory_gives_the_same(dtype, memory, monkeypatch):
    monkeypatch.setattr(on_device, "available", lambda device, given: memory)
    monkeypatch.setattr(on_device, "_LOW", 8)
    uploads = []
    upload = on_device._Side.upload
    monkeypatch.setattr(on_device._Side, "upload", lambda side: uploads.append(side.dtype) or upload(side))
    x = (50 * np.random.default_rng(4).random((90, 40))).astype(dtype)
    x[40:50] = x[:10]
    x[60, 3] += x[60, 3] == x[20, 3]
    x[60, 4:] = x[20, 4:]
    wanted = reference(x, x)
    for method in ("gram", "direct"):
        options = {"method": method, "device": "cpu", "max_memory": 16 << 20}
        assert relative_error(pairwise_distances(x, **options), wanted) < 1e-5
        assert relative_error(pairwise_distances(x, x[:9], **options), wanted[:, :9]) < 1e-5
        condensed = pairwise_distances(x, condensed=True, **options)
        assert relative_error(condensed, wanted[np.triu_indices(90, 1)]) < 1e-5
    own = np.dtype("f8" if dtype == "u2" else dtype).newbyteorder("=")  # torch computes little with uint16
    assert uploads == [own] * (8 if 99 * 40 * own.itemsize <= memory // 2 else 0)


def test_a_file_is_held_on_a_device_once(tmp_path, monkeypatch):
    x = np.random.default_rng(5).standard_normal((60, 4, 5, 6)).astype(np.float16)
    reads = []
    read = Rows.read_stored
    monkeypatch.setattr(Rows, "read_stored", lambda rows, *block: reads.append(1) or read(rows, *block))
    counts = {}
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        stored = file.create_dataset("rows", data=x)
        for memory in (1 << 24, 1 << 14):
            reads.clear()
            monkeypatch.setattr(on_device, "available", lambda device, given, memory=memory: memory)
            found = pairwise_distances(stored, method="gram", device="cpu", max_memory=16 << 20)
            assert relative_error(found, reference(x, x)) < 1e-5
            counts[memory] = len(reads)
    assert counts[1 << 24] <= 4 < counts[1 << 14]
