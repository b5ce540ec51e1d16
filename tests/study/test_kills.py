"""SIGTERM, SIGHUP and SIGKILL at any time: every file is whole or absent, and studies are as promised."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FEW = ("run --force test", "label --import", "label --export folder", "report", "review")


@pytest.mark.slow
def test_killed_commands_leave_files_whole_and_studies_equal(tmp_path):
    """HUDD_KILLS sets how often, and has every command killed, exports included."""
    kills = int(os.environ.get("HUDD_KILLS", "0"))
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    choices = runpy.run_path(str(HERE.parent / "fuzz" / "tiny.py"))["material"](tmp_path / "data")
    (tmp_path / "work" / "choices.json").write_text(json.dumps(choices))
    command = [sys.executable, str(HERE / "kills.py"), str(tmp_path / "work"), str(kills or len(FEW))]
    ended = subprocess.run(command if kills else [*command, *FEW], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    print(ended.stdout)
    told = json.loads(ended.stdout)
    assert sum(told["commands"].values()) == sum(told["signals"].values()) == (kills or len(FEW))
