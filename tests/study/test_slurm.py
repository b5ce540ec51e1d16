"""The Slurm script of the documentation: ended before its time limit, it puts itself back and goes on."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hudd.clustering import linkage_vectors
from hudd.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timing]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "gpu-server.md"

# Linkages in many rounds. Before its tenth search the first process stops for as long as it lives, where that is asked
# for, and it tells how many results of an earlier start it has found.
HOLDING = """
import os
import time
from pathlib import Path

from hudd.clustering import rounds, vectors
from hudd.clustering.nearest import Search
from hudd.clustering.record import Record

vectors._WHOLE = vectors._REST = 2
rounds._BATCH = 4
searches, nearest, begin = 0, Search.nearest, Record.__init__


def search(self, clusters):
    global searches
    searches += 1
    if "HELD" in os.environ and os.environ["RANK"] == "0" and searches == 10:
        Path(os.environ["HELD"]).touch()
        while True:
            time.sleep(1)
    return nearest(self, clusters)


def begun(self, *arguments):
    begin(self, *arguments)
    if "FOUND" in os.environ and os.environ["RANK"] == "0":
        Path(os.environ["FOUND"]).write_text(str(len(self._left)))


Search.nearest, Record.__init__ = search, begun
"""
PROGRAMS = {
    "srun": 'exec "$@"',
    "torchrun": f'exec "{sys.executable}" -m torch.distributed.run "$@"',
    "scontrol": 'if [ "$1" = show ]; then echo localhost; else echo "$@" >> "$REQUEUED"; fi',
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The script, and the programs of Slurm that it calls, for one machine that runs a job."""
    (script,) = re.findall(r'^```bash title="study.sbatch"\n(.*?)^```$', PAGE.read_text(), re.S | re.M)
    (tmp_path / "study.sbatch").write_text(script)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    if not 20000 <= port < 30000:
        port = 20000 + port % 10000
    given = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": str(70000 + port - 20000),
        "SLURM_NNODES": "1",
        "SLURM_JOB_NODELIST": "localhost",
        "REQUEUED": str(tmp_path / "requeued"),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def start(folder, *options, **environment):
    return subprocess.Popen(
        ["bash", str(folder / "study.sbatch"), *map(str, options)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def shards(study):
    return {path: path.stat().st_mtime_ns for path in (study / "shards" / "heatmaps").rglob("0*.h5")}


def test_a_job_puts_itself_back_before_its_limit_and_goes_on(cluster, material):
    """It is ended in the middle of a linkage that two processes share."""
    shutil.copy(material["model"].partition(":")[0], cluster / "model.py")
    with (cluster / "model.py").open("a") as model:
        model.write(HOLDING)
    names = ("weights", "test", "train", "preset")
    given = {"model": f"{cluster / 'model.py'}:cnn", **{name: material[name] for name in names}}
    options = [text for name, value in given.items() for text in (f"--{name}", value)]
    options += ["--layers", "5", "--linkage-from", "rows"]
    study, held, found = cluster / "study", cluster / "held", cluster / "found"

    job = start(cluster, study, *options, HELD=str(held))
    while not held.exists():
        assert job.poll() is None, job.stdout.read()
        time.sleep(0.05)
    finished = shards(study)
    job.send_signal(signal.SIGTERM)
    told = job.communicate()[0]
    assert job.returncode == 0, told
    assert (cluster / "requeued").read_text() == f"requeue {os.environ['SLURM_JOB_ID']}\n"
    assert not Study.open(study).has("clusters")

    again = start(cluster, study, *options, SLURM_RESTART_COUNT="1", FOUND=str(found))
    told = again.communicate()[0]
    assert again.returncode == 0, told
    assert shards(study) == finished
    assert found.read_text() == "9"
    assert (cluster / "requeued").read_text().count("requeue") == 1
    opened = Study.open(study)
    rows = opened.heatmaps_of("5").numpy()
    alone = linkage_vectors(rows, unit_norm=opened.settings.choices.unit_norm)
    np.testing.assert_allclose(opened.clustering_of("5").linkage, alone, rtol=1e-9)


def test_a_job_that_fails_is_not_put_back(cluster):
    (cluster / "programs" / "torchrun").write_text("#!/bin/sh\nexit 3\n")
    job = start(cluster, cluster / "study")
    told = job.communicate()[0]
    assert job.returncode == 3, told
    assert not (cluster / "requeued").exists()
