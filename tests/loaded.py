"""The tests marked timing on a busy machine, again and again: ``python tests/loaded.py [RUNS] [PYTEST OPTION ...]``."""

from __future__ import annotations

import os
import subprocess
import sys

BUSY = [sys.executable, "-c", "while True: pass"]


def main(runs: int, options: list[str]) -> int:
    """Run them while two busy loops a core run; the number of runs that failed."""
    loops = [subprocess.Popen(BUSY) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "timing", *options]
        failed = sum(subprocess.run(command, check=False).returncode != 0 for _ in range(runs))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    print(f"{runs - failed} of {runs} runs passed")
    return failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 10, sys.argv[2:]))
