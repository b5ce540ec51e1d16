"""A short campaign with nothing found, and every file that was once a finding. FUZZ_MINUTES sets its length."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, HERE, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_nothing_is_found():
    done = fuzz("--minutes", os.environ.get("FUZZ_MINUTES", "1"), "--seed", os.environ.get("FUZZ_SEED", "1"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_found_once_is_refused_in_a_sentence_now():
    done = fuzz("--replay", HERE / "findings")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") >= len(list((HERE / "findings").iterdir())) > 20
