import h5py
import numpy as np
import pytest

from hudd.distances import pairwise_distances
from hudd.errors import UsageError

MEMORY = 16 << 20


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 6, 40, 40)).astype(np.float32)
    x[500] = x[3]
    x[501] = x[4] * np.float32(1 + 1e-5)
    return x


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        yield file


@pytest.mark.slow
@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("method", ["gram", "direct"])
def test_a_dataset_gives_what_the_array_gives(x, file, unit_norm, method):
    stored = file.create_dataset("x", data=x)
    found = pairwise_distances(stored, condensed=True, unit_norm=unit_norm, method=method, max_memory=MEMORY)
    wanted = pairwise_distances(x, condensed=True, unit_norm=unit_norm, method=method)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_half_precision_and_chunks(x, file):
    stored = file.create_dataset("x", data=x[:50].astype(np.float16), chunks=(7, 2, 40, 40))
    wanted = pairwise_distances(x[:50].astype(np.float16))
    np.testing.assert_allclose(pairwise_distances(stored, max_memory=MEMORY), wanted, rtol=1e-6)


def test_a_dataset_against_an_array(x, file):
    stored = file.create_dataset("x", data=x[:60])
    wanted = pairwise_distances(x[:60], x[60:100])
    np.testing.assert_allclose(pairwise_distances(stored, x[60:100], max_memory=MEMORY), wanted, rtol=1e-6)
    np.testing.assert_allclose(pairwise_distances(x[60:100], stored, max_memory=MEMORY), wanted.T, rtol=1e-6)
    flat = file.create_dataset("flat", data=x[60:100].reshape(40, -1))
    with pytest.raises(UsageError, match="must agree"):
        pairwise_distances(stored, flat)


class Watched:
    """A dataset that counts the bytes of its largest read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.largest = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        block = self.array[key].copy()
        self.largest = max(self.largest, block.nbytes)
        return block


def test_reads_keep_to_the_memory(x):
    watched = Watched(x)
    pairwise_distances(watched, condensed=True, max_memory=MEMORY)
    assert 0 < watched.largest <= MEMORY // 8


def test_a_bad_row_is_named(x, file):
    x[777, 0, 3, 2] = np.nan
    with pytest.raises(UsageError, match="row 777 of X"):
        pairwise_distances(file.create_dataset("x", data=x), max_memory=MEMORY)
