"""A linkage that was killed goes on where it stopped; one that processes share has the bits of one alone."""

import errno
import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.clustering import linkage_vectors, rounds, vectors
from hudd.clustering.nearest import Search
from hudd.clustering.record import Record
from hudd.clustering.rounds import Rounds
from hudd.errors import HuddError, UsageError
from hudd.ranks import Ranks


@pytest.fixture(autouse=True, scope="module")
def in_many_rounds():
    """Leave nothing to the matrix but the last two clusters, start no chain, and search for few at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_WHOLE", 2)
        patch.setattr(vectors, "_REST", 2)
        patch.setattr(rounds, "_BATCH", 4)
        patch.setattr(rounds, "_PIECE", 512)
        patch.setattr(Rounds, "_chain_is_faster", lambda self, merged: False)
        yield


def table(seed, n=120, features=3):
    """Rows some of which are equal, or as near to one another as to others."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, features))
    x[: n // 3] = rng.integers(0, 3, (n // 3, features))
    return x


class Threads(Ranks):
    """Processes that are threads of this one."""

    shared = None

    def gather(self, part):
        barrier, parts = self.shared
        parts[self.rank] = part
        barrier.wait()
        found = list(parts)
        barrier.wait()
        return found

    def _told(self, work):
        return self.gather(work() if work else None)


def together(world, x, **options):
    """What each of so many processes finds."""
    Threads.shared = threading.Barrier(world), [None] * world
    local, found = threading.local(), [None] * world

    def run(rank):
        local.ranks = Threads(rank, world)
        found[rank] = linkage_vectors(x, distributed=True, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ranks, "current", classmethod(lambda cls: local.ranks))
        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(2, 7), st.integers(3, 60))
@settings(deadline=None, max_examples=10)
def test_any_number_of_processes_gives_the_same_bits(seed, world, n):
    x = table(seed, n)
    alone = linkage_vectors(x)
    for found in together(world, x):
        np.testing.assert_array_equal(found, alone)


def test_the_processes_share_the_searches(monkeypatch):
    monkeypatch.setattr(rounds, "_BATCH", 30)
    searched = []
    nearest = Search.nearest
    monkeypatch.setattr(
        Search, "nearest", lambda self, rows: searched.append(len(rows)) or nearest(self, rows)
    )
    linkage_vectors(table(0))
    alone = sum(searched)
    searched.clear()
    together(3, table(0))
    assert alone <= sum(searched) <= 1.3 * alone  # a share is rounded up


class Killed(BaseException):
    """Ends a call as a kill would."""


def counted(x, path=None, kill_at=None):
    """Return how many searches a call made, and the result, None where it was killed at one of them."""
    made = 0
    nearest = Search.nearest

    def search(self, rows):
        nonlocal made
        if made == kill_at:
            raise Killed
        made += 1
        return nearest(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Search, "nearest", search)
        try:
            z = linkage_vectors(x, checkpoint=path)
        except Killed:
            z = None
    return made, z


def test_killed_at_any_search_it_goes_on_from_there(tmp_path):
    x, path = table(1), tmp_path / "of" / "linkage.checkpoint"
    searches, whole = counted(x)
    assert searches > 50
    done = 0
    while done < searches:  # killed again and again, each time a few searches further
        made, z = counted(x, path, kill_at=7)
        assert made == min(7, searches - done)
        done += made
    np.testing.assert_array_equal(z if z is not None else counted(x, path)[1], whole)
    made, z = counted(x, path)
    assert made == 0
    np.testing.assert_array_equal(z, whole)


@pytest.mark.slow
@given(st.floats(0, 1), st.booleans())
@settings(deadline=None, max_examples=10)
def test_a_file_that_is_torn_or_damaged_costs_what_follows(tmp_path_factory, where, torn):
    x, path = table(2, 60), tmp_path_factory.mktemp("torn") / "linkage.checkpoint"
    searches, whole = counted(x, path)
    content = bytearray(path.read_bytes())
    head = len(b"hudd linkage 1\n") + 32
    at = head + int(where * (len(content) - head - 1))
    if torn:
        del content[at:]
    else:
        content[at] ^= 4
    path.write_bytes(content)
    made, z = counted(x, path)
    assert 0 < made <= searches
    np.testing.assert_array_equal(z, whole)
    assert counted(x, path)[0] == 0


def test_a_torn_beginning_is_written_again(tmp_path):
    path = tmp_path / "linkage.checkpoint"
    whole = linkage_vectors(table(3, 40), checkpoint=path)
    content = path.read_bytes()
    for length in (0, 3, 20):
        path.write_bytes(content[:length])
        np.testing.assert_array_equal(linkage_vectors(table(3, 40), checkpoint=path), whole)
        assert path.read_bytes() == content


def test_another_number_of_processes_and_another_device_go_on(tmp_path):
    x, path = table(4), tmp_path / "linkage.checkpoint"
    searches, whole = counted(x)
    counted(x, path, kill_at=searches // 2)
    for found in together(3, x, checkpoint=path):
        np.testing.assert_array_equal(found, whole)
    assert counted(x, path)[0] == 0


@pytest.mark.parametrize("change", [lambda x: x[::-1], lambda x: x * 2 + 1e-9, lambda x: x[:, :2]])
def test_a_checkpoint_of_other_rows_is_refused_and_kept(tmp_path, change):
    path = tmp_path / "linkage.checkpoint"
    linkage_vectors(table(5), checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(UsageError, match="linkage of other rows; name another file, or delete it"):
        linkage_vectors(change(table(5)), checkpoint=path)
    with pytest.raises(UsageError, match="other rows"):
        linkage_vectors(table(5), unit_norm=True, checkpoint=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"label,path\n", b"hudd linkage 0\n" + bytes(64), bytes(100)])
def test_another_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(HuddError, match="not the checkpoint of a linkage"):
        linkage_vectors(table(5), checkpoint=path)
    assert path.read_bytes() == content


def test_results_that_cannot_be_of_these_rows_are_refused(tmp_path):
    x, path = table(6), tmp_path / "linkage.checkpoint"
    counted(x, path, kill_at=3)
    identity = path.read_bytes()[len(b"hudd linkage 1\n") :][:32]
    for found in (np.full(8, 1e9), np.full(8, -1.0), np.full(8, np.nan), np.zeros(7)):
        path.unlink(missing_ok=True)
        with Record(path, identity, Ranks(0, 1)) as record:
            record.next(lambda found=found: found, len(found))
        with pytest.raises(HuddError, match="is damaged; delete it"):
            linkage_vectors(x, checkpoint=path)


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, monkeypatch):
    x, path = table(7), tmp_path / "linkage.checkpoint"
    searches, whole = counted(x)
    written = 0

    def full(handle):
        nonlocal written
        written += 1
        if written == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("hudd.clustering.record._SYNCED", -1.0)
        patch.setattr(os, "fsync", full)
        with pytest.raises(HuddError, match=r"cannot write .* \(no space left on device\): free some space"):
            linkage_vectors(x, checkpoint=path)
    made, z = counted(x, path)
    assert made <= searches - 4
    np.testing.assert_array_equal(z, whole)


def test_processes_with_other_rows_are_told(monkeypatch):
    class Second(Ranks):
        def _told(self, work):
            return [b"other", work()]

    monkeypatch.setattr(Ranks, "current", classmethod(lambda cls: Second(1, 2)))
    with pytest.raises(UsageError, match="process 1 was given other rows than process 0"):
        linkage_vectors(table(8), distributed=True)


def test_alone_without_a_group():
    assert not torch.distributed.is_initialized()
    np.testing.assert_array_equal(linkage_vectors(table(9), distributed=True), linkage_vectors(table(9)))
