"""``make gpu``: what it needs, in what order it works, and how it goes on after an interruption."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "gpu.py"
gpu = runpy.run_path(str(SCRIPT))
Stage = gpu["Stage"]
PLANNED = [
    Stage("built", ("make",)),
    Stage("tests", ("test",)),
    Stage("watched", ("watch",), needs="no-such-tool"),
]


class Commands:
    """Answers with the exit codes given by a command's first word, and keeps what was run."""

    def __init__(self, **codes: int) -> None:
        self.codes, self.run = codes, list[str]()

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.run.append(command[0])
        return self.codes.get(command[0], 0), f"output of {command[0]}"


def _perform(record: dict[str, Any], commands: Commands) -> tuple[bool, list[dict[str, str]]]:
    saved: list[dict[str, str]] = []

    def save(state: dict[str, Any]) -> None:
        saved.append({name: found["outcome"] for name, found in state["stages"].items()})

    return gpu["perform"](PLANNED, record, save, commands), saved


def test_every_stage_is_saved_when_it_is_through() -> None:
    passed, saved = _perform({}, Commands())
    assert passed
    assert saved == [
        {"built": "passed"},
        {"built": "passed", "tests": "passed"},
        {"built": "passed", "tests": "passed", "watched": "left out"},
    ]


def test_only_what_did_not_pass_is_run_again() -> None:
    record: dict[str, Any] = {}
    assert not _perform(record, Commands(test=1))[0]
    assert record["stages"]["tests"]["outcome"] == "failed"
    again = Commands(test=124)
    assert not _perform(record, again)[0]
    assert again.run == ["test"]
    assert record["stages"]["tests"]["outcome"] == "out of time"
    assert _perform(record, Commands())[0]
    assert record["stages"]["tests"]["printed"] == "output of test"


def test_nothing_is_run_on_a_build_that_failed() -> None:
    commands = Commands(make=2)
    passed, saved = _perform({}, commands)
    assert not passed
    assert commands.run == ["make"]
    assert saved == [{"built": "failed"}]


def test_the_plan_builds_first_and_stays_within_the_time() -> None:
    names = [stage.name for stage in gpu["stages"]()]
    assert names[:3] == ["built", "built with CUDA", "tests"]
    assert {"memcheck", "racecheck", "initcheck"} <= set(names)
    assert gpu["LIMIT"] <= 600
    record = {"stages": {"built": {"outcome": "passed", "seconds": 1.5}}}
    assert gpu["as_table"](record).split() == ["built", "passed", "1.5"]


@pytest.mark.slow
@pytest.mark.timing
def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    run = gpu["run_command"]
    with monkeypatch.context() as patch:
        patch.setitem(run.__globals__, "LIMIT", 1)
        code, _ = run([sys.executable, "-c", "import signal; print('begun', flush=True); signal.pause()"])
    assert code == 124
    assert run([sys.executable, "-c", "print('done')"]) == (0, "done\n")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_machine_without_a_gpu_is_told_so() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert done.stdout.endswith(".\n")
