"""Lists of text that are written and read slice by slice: what is in the file is the same."""

import h5py
import numpy as np
import pytest

from hudd.store import checksums, read_text, schema, write_dataset


@pytest.mark.parametrize("count", [1, 4, 5, 8, 9])
def test_slices_make_no_difference(monkeypatch, count):
    texts = [f"{'ä' * (row % 3)}{row}" for row in range(count)]
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        write_dataset(file, "whole", texts, description="", dims=("whole",), scale=True)
        monkeypatch.setattr(schema, "_SLICE", 4)
        write_dataset(file, "sliced", texts, description="", dims=("sliced",), scale=True)
        assert read_text(file["sliced"]).tolist() == texts
        assert file["sliced"].dtype == file["whole"].dtype
        before = checksums.checksums(file["whole"])[""]
        monkeypatch.setattr(checksums, "_SLICE", 4)
        assert checksums.checksums(file["sliced"])[""] == before
        if count:
            file["sliced"][count - 1] = "other"
            assert checksums.checksums(file["sliced"])[""] != before


def test_a_long_text_is_one():
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        write_dataset(file, "a", "b" * 70_000, description="", dims=())
        assert file["a"].asstr()[()] == "b" * 70_000


def test_numbers_are_no_text():
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        write_dataset(file, "a", list(range(9)), description="", dims=("a",), scale=True)
        np.testing.assert_array_equal(file["a"][...], np.arange(9))
