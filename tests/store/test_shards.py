"""Shards: what is written comes back, what is damaged is noticed, what is done stays done."""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import re

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import HuddError
from hudd.store import ShardSet


def fill(shards, arrays):
    for start, stop in shards.missing():
        shards.write(start, {name: array[start:stop] for name, array in arrays.items()})


def assert_fault(shards, pattern):
    """One shard is at fault, for a reason that matches."""
    (fault,) = shards.faults().values()
    assert re.search(pattern, fault)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"features.0": rng.standard_normal((10, 3, 2), dtype=np.float32), "sum": rng.standard_normal(10)}


@pytest.fixture
def shards(tmp_path, arrays):
    shards = ShardSet(tmp_path / "shards" / "heatmaps", rows=10, rows_per_shard=4, fingerprint="f")
    fill(shards, arrays)
    return shards


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 40), per_shard=st.integers(1, 12))
def test_ranges_tile_the_rows(rows, per_shard):
    ranges = ShardSet(None, rows, per_shard, "").ranges()
    assert [row for start, stop in ranges for row in range(start, stop)] == list(range(rows))
    assert all(stop - start == per_shard for start, stop in ranges[:-1])


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [(0, 256), (4, 256), (1 << 17, 256), (200_000, 167), (1 << 20, 32), (1 << 25, 1), (1 << 26, 1)],
)
def test_a_shard_is_about_32_mib(row_bytes, rows):
    assert ShardSet.rows_for(row_bytes) == rows


def test_round_trip_through_the_virtual_dataset(shards, arrays, tmp_path):
    path = tmp_path / "study.h5"
    with h5py.File(path, "w") as file:
        for name in arrays:
            file.create_virtual_dataset(name, shards.virtual_layout(name, tmp_path))
    tmp_path = tmp_path.rename(tmp_path.with_name("moved"))
    with h5py.File(tmp_path / "study.h5") as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name][...], array)


def test_read_yields_the_rows_in_order(shards, arrays):
    starts, blocks = zip(*shards.read("sum"))
    assert starts == (0, 4, 8)
    np.testing.assert_array_equal(np.concatenate(blocks), arrays["sum"])


def test_columns_are_whole_datasets_by_name(shards, arrays):
    found = shards.columns(["sum", "features.0"])
    assert list(found) == ["sum", "features.0"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert dataclasses.replace(shards, directory=shards.directory / "nowhere").columns([]) == {}


def test_a_view_shows_all_shards(shards, arrays, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shards.write_view(tmp_path / "view.h5")
    assert list((tmp_path / "here").iterdir()) == []  # it is made in memory
    with h5py.File(tmp_path / "view.h5") as file:
        assert set(file) == set(arrays)
        for name, array in arrays.items():
            assert file[name].is_virtual
            assert file[name].dtype == array.dtype
            np.testing.assert_array_equal(file[name][...], array)


def test_a_dataset_may_be_called_by_what_patterns_of_names_mean(tmp_path):
    shards = ShardSet(tmp_path / "shards", 3, 2, "f")
    fill(shards, {"50%b": np.arange(3)})
    shards.write_view(tmp_path / "view.h5")
    with h5py.File(tmp_path / "view.h5") as file:
        assert file["50%b"][...].tolist() == [0, 1, 2]


def test_shards_are_read_whoever_has_locked_them(shards, arrays, tmp_path):
    with contextlib.ExitStack() as stack:
        for start, _ in shards.ranges():
            fcntl.flock(stack.enter_context(shards.path(start).open("rb")), fcntl.LOCK_EX)
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in shards.read("sum")]), arrays["sum"])
        np.testing.assert_array_equal(shards.columns(["sum"])["sum"], arrays["sum"])
        assert shards.virtual_layout("sum", tmp_path).shape == (10,)
        shards.write_view(tmp_path / "view.h5")
        assert shards.missing() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"format": "other"}, "is not a hudd-shard"),
        ({"fingerprint": "g"}, "belongs to other settings"),
        ({"start": 5}, "belongs to other settings"),
        ({"stop": 9}, "belongs to other settings"),
        ({"bytes": 7}, r"is torn \(\d+ of 7 bytes\)"),
        ({"xxh3_128": "0"}, r"is damaged \(wrong checksum\)"),
    ],
)
def test_what_is_wrong_with_a_shard_is_named_and_it_alone_is_missing(shards, changes, fault):
    rewrite_header(shards.path(4), **changes)
    assert_fault(shards, f"^{fault}$")
    quick = shards.missing(checksums=False)
    assert quick == ([] if "xxh3_128" in changes else [(4, 8)])
    assert shards.path(4).exists() == (not quick)
    assert shards.missing() == [(4, 8)]
    assert not shards.path(4).exists()


@pytest.mark.parametrize("header", [b"[1]", b"no JSON", b"\xff"])
def test_a_header_that_is_none_is_noticed(shards, header):
    path = shards.path(0)
    path.write_bytes(header.ljust(511) + b"\n" + path.read_bytes()[512:])
    assert_fault(shards, r"^is (not a hudd-shard|damaged \(unreadable header\))$")
    shards.path(0).unlink()
    assert_fault(shards, "^is missing$")
    shards.path(0).mkdir()
    assert_fault(shards, "^cannot be read")


def test_a_set_is_a_value(shards):
    with pytest.raises(AttributeError, match="cannot assign"):
        shards.rows = 3


def test_finished_shards_are_not_missing(shards):
    assert shards.missing() == []
    shards.path(4).unlink()
    assert shards.missing() == [(4, 8)]


@pytest.mark.parametrize("offset", [100, 600, -1])
def test_a_flipped_byte_is_noticed_and_only_its_shard_recomputed(shards, offset):
    path = shards.path(4)
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    assert_fault(shards, "is damaged|belongs")
    assert shards.missing() == [(4, 8)]


def test_a_torn_shard_is_noticed(shards):
    path = shards.path(8)
    path.write_bytes(path.read_bytes()[:-100])
    assert_fault(shards, "is torn")
    path.write_bytes(b"")
    assert shards.missing() == [(8, 10)]


def test_other_settings_make_every_shard_missing(shards):
    other = ShardSet(shards.directory, 10, 4, fingerprint="g")
    assert other.missing() == [(0, 4), (4, 8), (8, 10)]


def test_what_a_killed_writer_left_is_swept(shards):
    (shards.directory / ".aside-1-000001.h5").write_bytes(b"half")
    assert shards.missing() == []
    assert not list(shards.directory.glob(".aside*"))


def test_the_header_tells_the_shard_without_hdf5(shards):
    header = json.loads(shards.path(8).read_bytes()[:512])
    assert (header["format"], header["version"], header["fingerprint"]) == ("hudd-shard", 2, "f")
    assert (header["start"], header["stop"]) == (8, 10)
    content = shards.path(8).read_bytes()
    assert header["bytes"] == len(content) - 512
    assert content[511:520] == b"\n\x89HDF\r\n\x1a\n"


def rewrite_header(path, **changes):
    content = path.read_bytes()
    header = {**json.loads(content[:512]), **changes}
    path.write_bytes(json.dumps(header).encode().ljust(511) + b"\n" + content[512:])


def test_shards_of_version_1_are_read_and_later_ones_are_not(shards):
    path = shards.path(4)
    rewrite_header(path, version=1, xxh3_128=None, sha256=hashlib.sha256(path.read_bytes()[512:]).hexdigest())
    assert shards.missing() == []
    rewrite_header(path, sha256="0")
    assert_fault(shards, r"is damaged \(wrong checksum\)")
    rewrite_header(path, version=3)
    assert_fault(shards, "is a hudd-shard of version 3, not 2")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_shards_written_behind_are_those_written_at_once(shards, arrays, tmp_path, compression):
    behind = dataclasses.replace(shards, directory=tmp_path / "behind", compression=compression)
    at_once = dataclasses.replace(shards, directory=tmp_path / "at once", compression=compression)
    fill(at_once, arrays)
    with behind.written_behind() as writing:
        for start, stop in behind.ranges():
            for name, rows in writing.begin(start, arrays).items():
                rows[...] = arrays[name][start:stop]
            writing.end()
    for start, _ in behind.ranges():
        assert behind.path(start).read_bytes() == at_once.path(start).read_bytes()


def test_a_shard_that_cannot_be_written_behind_is_told(shards, arrays):
    full = dataclasses.replace(shards, directory=shards.path(0) / "no directory")

    def write():
        with full.written_behind() as writing:
            writing.begin(0, arrays)
            writing.end()

    with pytest.raises(HuddError, match="cannot write"):
        write()


def test_large_shards_go_past_the_page_cache_or_through_it(tmp_path, monkeypatch):
    rows = np.arange(3 << 18, dtype=np.float32).reshape(3, -1)  # 3 MiB
    with monkeypatch.context() as patch:
        patch.setattr(os, "O_DIRECT", 0, raising=False)
        fill(ShardSet(tmp_path / "cached", 3, 3, "f"), {"x": rows})
    direct = ShardSet(tmp_path / "direct", 3, 3, "f")
    fill(direct, {"x": rows})
    assert direct.path(0).read_bytes() == (tmp_path / "cached" / "000000.h5").read_bytes()
    ((_, found),) = direct.read("x")
    np.testing.assert_array_equal(found, rows)


def test_equal_rows_make_equal_bytes(shards, arrays, tmp_path):
    again = ShardSet(tmp_path / "again", 10, 4, "f")
    fill(again, arrays)
    assert [again.path(s).read_bytes() for s, _ in again.ranges()] == [
        shards.path(s).read_bytes() for s, _ in shards.ranges()
    ]


def test_wrong_number_of_rows(shards):
    with pytest.raises(ValueError, match="has 3 rows"):
        shards.write(0, {"x": np.zeros(3)})


def test_full_disk_is_one_sentence(tmp_path, monkeypatch):
    shards = ShardSet(tmp_path / "s", 1, 1, "f")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(HuddError, match=r"cannot write .*no space left.*free some space"):
        shards.write(0, {"x": np.zeros(1)})
    assert shards.missing() == [(0, 1)]
    assert not list(shards.directory.glob(".aside*"))
