"""One writer at a time; a dead one is never in the way."""

import json
import os
import signal
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


def test_a_second_writer_is_told_who_writes(tmp_path, holder):
    with (
        pytest.raises(HuddError, match=f"being written by process {holder.pid} on .* wait"),
        writer_lock(tmp_path / "lock"),
    ):
        pass


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
        pytest.raises(HuddError, match=r"process 1 on elsewhere .*--break-lock"),
        writer_lock(tmp_path / "lock"),
    ):
        pass
    with writer_lock(tmp_path / "lock", break_stale=True):
        pass


@pytest.mark.parametrize(
    "content", [b"[" * 4000, b'{"pid": 1, "host": "x", "since": 1' + b"0" * 400 + b"}", b"[]", b"\xff"]
)
def test_a_lock_that_nobody_can_read_is_nobody_s(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with writer_lock(tmp_path / ".lock"):
        pass
