"""Blocks of rows and columns, the sample that centres them, and how they are loaded: plain NumPy's, however read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.distances.rows import Columns, Rows, unit_norm_rows
from hudd.distances.threads import workers
from hudd.errors import UsageError


class Stored:
    """An array that is read by blocks, as an HDF5 dataset is, and counts how often."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.reads = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        self.reads += 1
        return self.array[key].copy()


def rows_of(source, each, *, unit_norm=False, memory=1 << 30):
    return Rows(source, name="X", unit_norm=unit_norm, memory=memory, each=each)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize(
    ("count", "step"), [(0, 1), (1, 1), (127, 1), (128, 1), (255, 1), (256, 2), (383, 2), (384, 3), (1000, 7)]
)
def test_the_sample_is_every_nth_row(count, step, unit_norm, stored):
    x = np.random.default_rng(count).standard_normal((count, 2, 3))
    flat = x.reshape(count, 6)
    if unit_norm:
        flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    source = Stored(x) if stored else x
    with workers() as each:
        # Memory for five rows of the sample: blocks begin at rows that are and that are not in it.
        rows = rows_of(source, each, unit_norm=unit_norm, memory=5 * 96)
        surveyed = source.reads if stored else 0
        found, number = rows.sums()
    np.testing.assert_allclose(found, flat[::step].sum(axis=0), rtol=1e-12, atol=1e-12)
    assert number == len(flat[::step])
    assert number <= 255
    if stored:  # of blocks without a row of the sample nothing is read
        assert source.reads - surveyed <= number


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 40), st.booleans(), st.integers(0, 99)
)
def test_blocks_of_columns_are_the_features_in_order(axes, limit, stored, seed):
    x = np.random.default_rng(seed).standard_normal((3, *axes))
    with workers() as each:
        rows = rows_of(Stored(x) if stored else x, each)
        blocks = list(rows.column_blocks(limit))
        read = [rows.read(slice(1, 3), block) for block in blocks]
    assert all(0 < block.stop - block.start <= limit for block in blocks)
    np.testing.assert_array_equal(np.concatenate(read, axis=1), x[1:].reshape(2, -1))
    assert [block.start for block in blocks] == [0, *(block.stop for block in blocks[:-1])]
    if not stored:  # of even size, as few as there can be
        assert len(blocks) == -(-rows.features // limit)
        assert all(block.stop - block.start == blocks[0].stop for block in blocks[:-1])


def test_rows_without_features_have_no_blocks():
    with workers() as each:
        rows = rows_of(np.empty((3, 0), np.float32), each)
        assert list(rows.column_blocks(4)) == []
        assert (rows.features, rows.largest) == (0, 0.0)


@pytest.mark.parametrize(
    ("dtype", "bytes_of_a_number"),
    [(np.float16, 2 + 4), (np.float32, 4 + 4), (np.int16, 2 + 8), (float, 8 + 8)],
)
def test_blocks_of_rows_keep_to_the_memory(dtype, bytes_of_a_number):
    x = np.ones((10, 4), dtype)
    for of_a_block in (1, 3, 10):
        memory = of_a_block * 4 * bytes_of_a_number
        with workers() as each:
            blocks = list(rows_of(Stored(x), each, memory=memory).row_blocks(4))
        firsts = list(range(0, 10, of_a_block))
        assert [(block.start, block.stop) for block in blocks] == [
            (f, min(f + of_a_block, 10)) for f in firsts
        ]
    with workers() as each:  # a row at least; what lies in memory as it is worked with takes none
        assert len(list(rows_of(Stored(x), each, memory=1).row_blocks(4))) == 10
        expected = 1 if dtype in (np.float32, float) else 10
        assert len(list(rows_of(x, each, memory=1).row_blocks(4))) == expected


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("unit_norm", [False, True])
def test_loaded_rows_are_scaled_shifted_and_in_the_order_asked_for(unit_norm, stored):
    rng = np.random.default_rng(0)
    x, shift = rng.standard_normal((90, 2, 3)), rng.standard_normal(6)
    x[7] = 0  # stays zero
    chosen = np.array([89, 7, 7, 40, 0, 41])
    with workers() as each:
        rows = rows_of(Stored(x) if stored else x, each, unit_norm=unit_norm, memory=10 * 6 * 16)
        squares = np.full(6, 1000.0)
        for columns in rows.column_blocks(3):
            out = np.empty((6, 3))
            rows.load(columns, chosen, shift, 0.5, out, squares)
            wanted = x.reshape(90, 6)[chosen]
            if unit_norm:
                lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
                wanted = wanted / np.where(lengths > 0, lengths, 1)
            wanted = (wanted - shift) * 0.5
            np.testing.assert_allclose(out, wanted[:, columns.start : columns.stop], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(squares, 1000 + (wanted**2).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("stored", [False, True])
def test_norms_and_the_largest_of_them(stored):
    x = np.array([[3.0, 4], [0, 0], [0, 2]])
    with workers() as each:
        plain = rows_of(Stored(x) if stored else x, each, memory=16)
        unit = rows_of(Stored(x) if stored else x, each, memory=16, unit_norm=True)
    assert plain.norms.tolist() == unit.norms.tolist() == [5, 0, 2]
    assert plain.scale.tolist() == [1, 1, 1]
    assert unit.scale.tolist() == [1 / 5, 1, 1 / 2]
    assert (plain.largest, unit.largest) == (5, 1)


@pytest.mark.parametrize(
    ("x", "plain"),
    [
        (np.ones((4, 6), np.float32), True),
        (np.ones((4, 2, 3), np.float32), True),
        (np.ones((4, 8), np.float32)[:, 1:7], True),  # rows in one piece, with something between them
        (np.ones((4, 6)), False),
        (np.ones((4, 12), np.float32)[:, ::2], False),
        (np.broadcast_to(np.ones(6, np.float32), (4, 6)), False),
        (np.lib.stride_tricks.sliding_window_view(np.ones(21, np.float32), 6)[::5], False),  # overlapping
        (Stored(np.ones((4, 6), np.float32)), False),
    ],
)
def test_what_lies_in_memory_as_it_is_read(x, plain):
    with workers() as each:
        assert rows_of(x, each).plain is plain


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.nan, "NaN"),
        (np.inf, "an infinite value"),
        (-np.inf, "an infinite value"),
        (2e200, "values up to 2e\\+200"),
    ],
)
def test_the_row_that_cannot_be_measured_is_named(value, what):
    x = np.ones((9, 2))
    x[5, 1] = x[7, 0] = value
    for source in (x, Stored(x)):
        with workers() as each, pytest.raises(UsageError, match=rf"^row 5 of X holds {what}"):
            rows_of(source, each, memory=64)


@pytest.mark.parametrize(
    ("x", "says"), [(np.ones(4), r"X has shape \(4,\)"), (np.ones((2, 2), complex), "X has dtype complex128")]
)
def test_what_is_no_rows_of_numbers_is_refused(x, says):
    with workers() as each, pytest.raises(UsageError, match=says):
        rows_of(x, each)


@pytest.mark.parametrize(
    ("dtype", "working"),
    [(np.float16, np.float32), (np.float32, np.float32), (np.uint8, float), (float, float)],
)
def test_unit_norm_rows(dtype, working):
    x = np.array([[[3, 0], [0, 4]], [[0, 0], [0, 0]]], dtype)
    found = unit_norm_rows(x)
    assert found.dtype == working
    np.testing.assert_allclose(found, [[[0.6, 0], [0, 0.8]], [[0, 0], [0, 0]]], rtol=1e-6)


def test_a_block_is_a_value():
    block = Columns((slice(0, 2),), 0, 2)
    with pytest.raises(AttributeError, match="cannot assign"):
        block.start = 1


def test_rows_that_fit_in_memory_are_read_at_once():
    stored = Stored(np.ones((20, 6), np.float32))
    assert unit_norm_rows(stored).shape == (20, 6)
    assert stored.reads == 2  # for their norms, and to be divided


def test_an_array_in_memory_is_read_without_a_copy():
    x = np.ones((4, 6), np.float32)
    with workers() as each:
        assert np.shares_memory(rows_of(x, each).read(slice(1, 3), Columns((slice(0, 6),), 2, 5)), x)
