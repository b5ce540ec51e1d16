"""Two processes under torchrun share a linkage; one that is killed ends it, and the next call goes on."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timing]

# The first process can be held up after some results, for as long as it lives, and the second can die after some.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from hudd.clustering import linkage_vectors, rounds, vectors
from hudd.clustering.nearest import Search
from hudd.clustering.record import Record
from hudd.ranks import join

folder, hold, die = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
vectors._WHOLE = vectors._REST = 2
rounds._BATCH = 8
rounds.Rounds._chain_is_faster = lambda self, merged: False
searches, rank = 0, int(os.environ["RANK"])
nearest = Search.nearest


def search(self, rows):
    global searches
    if rank == 0 and searches == hold:
        (folder / "held").touch()
        while True:
            time.sleep(1)
    if rank == 1 and searches == die:
        os.kill(os.getpid(), signal.SIGKILL)
    searches += 1
    return nearest(self, rows)


Search.nearest = search
join()
z = linkage_vectors(np.load(folder / "rows.npy"), checkpoint=folder / "linkage.checkpoint", distributed=True)
np.save(folder / f"{rank}.npy", z)
(folder / f"{rank}.searches").write_text(str(searches))
"""


def start(folder, hold=-1, die=-1):
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, *command, str(folder / "link.py"), str(folder), str(hold), str(die)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def recorded(folder):
    return (folder / "linkage.checkpoint").stat().st_size


def test_killed_in_the_middle_it_goes_on(tmp_path, monkeypatch):
    from hudd.clustering import linkage_vectors, rounds, vectors

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.integers(0, 4, (60, 3)), rng.standard_normal((140, 3))])
    np.save(tmp_path / "rows.npy", x)
    (tmp_path / "link.py").write_text(SCRIPT)

    held = start(tmp_path, hold=10)
    while not (tmp_path / "held").exists():
        assert held.poll() is None, held.stderr.read()
        time.sleep(0.05)
    held.send_signal(signal.SIGTERM)
    told = held.communicate()[1]
    assert held.returncode, told
    first = recorded(tmp_path)
    assert first > 0

    died = start(tmp_path, die=20)
    told = died.communicate()[1]
    assert died.returncode, told
    assert re.search(r"HuddError: another process of this run was lost; run the same command again", told), (
        told
    )
    assert recorded(tmp_path) > first
    assert not list(tmp_path.glob("*.searches"))

    resumed = start(tmp_path)
    told = resumed.communicate()[1]
    assert resumed.returncode == 0, told
    for module, name in ((vectors, "_WHOLE"), (vectors, "_REST")):
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(rounds, "_BATCH", 8)
    monkeypatch.setattr(rounds.Rounds, "_chain_is_faster", lambda self, merged: False)
    searches = []
    nearest = rounds.Search.nearest
    monkeypatch.setattr(
        rounds.Search, "nearest", lambda self, rows: searches.append(1) or nearest(self, rows)
    )
    alone = linkage_vectors(x)
    for rank in (0, 1):
        np.testing.assert_array_equal(np.load(tmp_path / f"{rank}.npy"), alone)
        assert int((tmp_path / f"{rank}.searches").read_text()) == len(searches) - 30
