"""The format as docs/format.md states it, checked by a reader that uses h5py alone."""

import numpy as np
import pytest

from hudd.store import ShardSet, StudyFile, write_dataset


@pytest.fixture
def written(tmp_path):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"settings": "{}", "hudd_version": "0", "model": "m:f", "seed": 0})
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    shards = ShardSet(tmp_path / "shards" / "heatmaps" / "f00d", 3, 2, "f00dcafe")
    for start, stop in shards.missing():
        shards.write(start, {"fc": rows[start:stop]})
    with file.writing() as h5:
        write_dataset(h5, "error", [2, 5, 7], description="rows", dims=("error",), scale=True)
        layout = shards.virtual_layout("fc", tmp_path)
        write_dataset(h5, "layers/fc/relevance", layout, description="relevance", dims=("error", "unit"))
        write_dataset(h5, "class", ["a", "b"], description="names", dims=("class",), scale=True)
    return tmp_path, rows


def test_an_independent_reader_reads_it(written, read_study):
    directory, rows = written
    found = read_study(directory)
    np.testing.assert_array_equal(found["layers/fc/relevance"], rows)
    assert [name.decode() for name in found["class"]] == ["a", "b"]


def test_it_is_read_after_a_move(written, read_study, tmp_path_factory):
    directory, rows = written
    moved = directory.rename(tmp_path_factory.mktemp("elsewhere") / "study")
    np.testing.assert_array_equal(read_study(moved)["layers/fc/relevance"], rows)


def test_a_missing_shard_shows_as_not_a_number(written, read_study):
    directory, rows = written
    next((directory / "shards").rglob("000001.h5")).unlink()
    found = read_study(directory)["layers/fc/relevance"]
    np.testing.assert_array_equal(found[:2], rows[:2])
    assert np.isnan(found[2]).all()
