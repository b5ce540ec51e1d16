"""One writer at a time; a dead one is never in the way."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from hudd.errors import HuddError
from hudd.store import writer_lock

HOLDER = """
import sys, pathlib
from hudd.store import writer_lock
with writer_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.timing
def test_a_second_writer_is_told_who_writes(tmp_path, holder):
    with (
        pytest.raises(HuddError, match=f"being written by process {holder.pid} on .* wait"),
        writer_lock(tmp_path / "lock"),
    ):
        pass


@pytest.mark.timing
def test_a_killed_writer_is_not_in_the_way(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with writer_lock(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_the_same_process_may_hold_it_twice(tmp_path):
    with writer_lock(tmp_path / "lock"):
        with writer_lock(tmp_path / "lock"):
            pass
        assert (tmp_path / "lock").read_text()
    assert (tmp_path / "lock").read_text() == ""


def test_a_lock_left_by_another_machine_is_told_and_broken_on_request(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": 0}))
    with (
        pytest.raises(HuddError, match=r"process 1 on elsewhere .*`break_lock=True`"),
        writer_lock(tmp_path / "lock"),
    ):
        pass
    with writer_lock(tmp_path / "lock", break_stale=True):
        pass


SLURM = {"SLURM_JOB_ID": "47", "SLURM_CLUSTER_NAME": "alps"}


@pytest.mark.parametrize(
    ("job", "start", "here", "taken"),
    [
        ("alps/47", 0, {**SLURM, "SLURM_RESTART_COUNT": "1"}, True),
        ("alps/47", 3, {**SLURM, "SLURM_RESTART_COUNT": "4"}, True),
        ("alps/47", 1, {**SLURM, "SLURM_RESTART_COUNT": "1"}, False),
        ("alps/47", 0, SLURM, False),
        ("alps/46", 0, {**SLURM, "SLURM_RESTART_COUNT": "1"}, False),
        ("jura/47", 0, {**SLURM, "SLURM_RESTART_COUNT": "1"}, False),
        ("", 0, {**SLURM, "SLURM_RESTART_COUNT": "1"}, False),
        ("", 0, {}, False),
    ],
)
@pytest.mark.parametrize("kernel", ["has locks", "has none"])
def test_an_earlier_start_of_the_same_slurm_job_has_ended(
    tmp_path, monkeypatch, job, start, here, taken, kernel
):
    """A job that is requeued comes to another machine with the lock that its killed start left."""
    for name in ("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    left = json.dumps({"pid": 1, "host": "elsewhere", "since": 0, "job": job, "start": start})
    (tmp_path / "lock").write_text(left)
    if kernel == "has none":
        monkeypatch.setattr("hudd.store.lock.fcntl", NoLocks(errno.ENOLCK))
        (tmp_path / "lock-held").write_text(left)
    if taken:
        with writer_lock(tmp_path / "lock"):
            assert json.loads((tmp_path / "lock").read_text())["job"] == "alps/47"
    else:
        with pytest.raises(HuddError, match="process 1 on elsewhere"), writer_lock(tmp_path / "lock"):
            pass


@pytest.mark.parametrize(
    "content", [b"[" * 4000, b'{"pid": 1, "host": "x", "since": 1' + b"0" * 400 + b"}", b"[]", b"\xff"]
)
def test_a_lock_that_nobody_can_read_is_nobody_s(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with writer_lock(tmp_path / ".lock"):
        pass


class NoLocks:
    """A file system whose kernel has no locks."""

    LOCK_EX = LOCK_NB = 0

    def __init__(self, number):
        self.number = number

    def flock(self, handle, operation):
        raise OSError(self.number, os.strerror(self.number))


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def without_locks(request, monkeypatch):
    monkeypatch.setattr("hudd.store.lock.fcntl", NoLocks(request.param))


def test_without_locks_a_file_stands_in(tmp_path, without_locks):
    with writer_lock(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock-held").read_text())["pid"] == os.getpid()
    assert not (tmp_path / "lock-held").exists()
    assert (tmp_path / "lock").read_text() == ""


def left_over(tmp_path, **owner):
    record = {"pid": os.getppid(), "host": socket.gethostname(), "since": 0, **owner}
    (tmp_path / "lock-held").write_text(json.dumps(record))


@pytest.mark.parametrize("owner", [{}, {"host": "elsewhere"}])
def test_without_locks_a_living_writer_is_believed_until_the_lock_is_broken(tmp_path, without_locks, owner):
    left_over(tmp_path, **owner)
    with pytest.raises(HuddError, match="being written by process"), writer_lock(tmp_path / "lock"):
        pass
    with writer_lock(tmp_path / "lock", break_stale=True):
        pass


def test_without_locks_a_dead_writer_is_not_in_the_way(tmp_path, without_locks):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left_over(tmp_path, pid=ended.pid)
    with writer_lock(tmp_path / "lock"):
        pass


@pytest.mark.timing
def test_without_locks_a_writer_that_has_yet_to_say_who_it_is(tmp_path, without_locks):
    (tmp_path / "lock-held").touch()
    os.utime(tmp_path / "lock-held", (2**32, 2**32))  # just made, however long this takes
    with pytest.raises(HuddError, match="being written by another process"), writer_lock(tmp_path / "lock"):
        pass
    os.utime(tmp_path / "lock-held", (0, 0))  # it died before
    with writer_lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with writer_lock(tmp_path / "lock"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)
