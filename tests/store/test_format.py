"""The format as docs/format.md states it, checked by a reader that uses h5py alone."""

import json

import h5py
import numpy as np
import pytest
import xxhash

from hudd.store import ShardSet, StudyFile, write_dataset


def read_study(directory):
    """Every dataset of a study by name, after the checks that the format promises."""
    found = {}

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        assert item.attrs["description"], name
        assert item.attrs["units"], name
        if not item.is_scale:
            assert all(len(dim) == 1 for dim in item.dims), name
        found[name] = item[()]

    with h5py.File(directory / "study.h5") as file:
        assert (file.attrs["format"], file.attrs["version"]) == ("hudd-study", 1)
        json.loads(file.attrs["settings"])
        file.visititems(visit)
    for shard in (directory / "shards").rglob("*.h5"):
        content = shard.read_bytes()
        header, image = json.loads(content[:512]), content[512:]
        assert (header["format"], header["version"], header["bytes"]) == ("hudd-shard", 2, len(image))
        assert header["xxh3_128"] == xxhash.xxh3_128_hexdigest(image)
        assert header["fingerprint"].startswith(shard.parent.name)
    return found


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


def test_an_independent_reader_reads_it(written):
    directory, rows = written
    found = read_study(directory)
    np.testing.assert_array_equal(found["layers/fc/relevance"], rows)
    assert [name.decode() for name in found["class"]] == ["a", "b"]


def test_it_is_read_after_a_move(written, tmp_path_factory):
    directory, rows = written
    moved = directory.rename(tmp_path_factory.mktemp("elsewhere") / "study")
    np.testing.assert_array_equal(read_study(moved)["layers/fc/relevance"], rows)


def test_a_missing_shard_shows_as_not_a_number(written):
    directory, rows = written
    next((directory / "shards").rglob("000001.h5")).unlink()
    found = read_study(directory)["layers/fc/relevance"]
    np.testing.assert_array_equal(found[:2], rows[:2])
    assert np.isnan(found[2]).all()
