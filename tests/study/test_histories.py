"""Two people at one study at the same time: no edit is lost, and no export is of two states."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_no_edit_is_lost_and_no_export_mixed(tmp_path):
    """HUDD_HISTORIES sets how many histories are tried, drawn again each time; the same few by default."""
    histories = int(os.environ.get("HUDD_HISTORIES", "5"))
    command = [sys.executable, str(HERE / "histories"), str(tmp_path), str(histories)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {"histories": histories}
