"""The tests marked timing on a busy machine, again and again: ``python tests/loaded.py [RUNS] [PYTEST OPTION ...]``.

A busy loop a core runs all the time, and two runs a core go on at once, so that each has a third of a core.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

CORES = os.cpu_count() or 1
BUSY = [sys.executable, "-c", "while True: pass"]


def run(options: list[str]) -> bool:
    """Whether one run of the tests passes; the output of one that fails is printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "timing", *options]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.splitlines()
    print(done.stdout if done.returncode else "\n".join(lines[-1:]), flush=True)
    return done.returncode == 0


def main(runs: int, options: list[str]) -> int:
    """Run them; the number of runs that failed."""
    loops = [subprocess.Popen(BUSY) for _ in range(CORES)]
    try:
        with ThreadPoolExecutor(2 * CORES) as pool:
            failed = runs - sum(pool.map(run, [options] * runs))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    print(f"{runs - failed} of {runs} runs passed")
    return failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 10, sys.argv[2:]))
