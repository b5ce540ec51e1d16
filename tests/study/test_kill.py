"""kill -9 at any write and at any time: the next start goes on, and ends with the same study."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from hudd.errors import HuddError
from hudd.study import Study

# Forks before torch has started a thread, so that each attempt costs no import.
DRIVER = """
import json, os, random, signal, sys, time
import torch
from hudd.study import Study
import hudd.study.steps.heatmaps, hudd.study.steps.retrain

path, choices, kills, seed = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def attempt(at_write, after):
    sync, count = os.fsync, 0

    def fsync(handle):
        nonlocal count
        count += 1
        if count == at_write and not after:
            die()
        sync(handle)
        if count == at_write:
            die()

    os.fsync = fsync
    torch.set_num_threads(1)
    exists = os.path.exists(os.path.join(path, "study.h5"))
    study = Study.open(path) if exists else Study.create(path, **choices)
    study.run()
    os._exit(0)


killed = 0
while True:
    at_write, after, delay = rng.randint(1, 4), rng.random() < 0.5, rng.uniform(0.2, 1.5)
    by_time = rng.random() < 0.3
    if killed >= kills:
        at_write, by_time = 0, False
    child = os.fork()
    if child == 0:
        attempt(0 if by_time else at_write, after)
    if by_time:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        killed += 1
    elif os.WEXITSTATUS(status) != 0:
        sys.exit(f"attempt after {killed} kills ended with {status}")
    else:
        break
print(killed)
"""


def datasets(path):
    found = {}
    with h5py.File(path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: np.asarray(value).tolist() for name, value in found.items()}


@pytest.mark.slow
def test_killed_at_random_it_ends_as_if_it_had_run_through(material, tmp_path):
    kills = int(os.environ.get("HUDD_KILLS", "12"))
    choices = {**material, "modes": ["hudd", "random"]}
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "killed"), json.dumps(choices)]
    result = subprocess.run([*command, str(kills), "1"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= min(kills, 10)
    assert (
        subprocess.run(
            [*command[:3], str(tmp_path / "whole"), command[4], "0", "1"], capture_output=True, check=False
        ).returncode
        == 0
    )
    killed, whole = datasets(tmp_path / "killed"), datasets(tmp_path / "whole")
    assert killed.keys() == whole.keys()
    assert not [name for name in whole if str(killed[name]) != str(whole[name])]
    left = [
        path.name
        for path in (tmp_path / "killed").rglob("*")
        if ".aside" in path.name or "checkpoint" in path.name
    ]
    assert left == []


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[:-50] if how == "torn" else content)
    if how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["flipped", "torn", "missing"])
@pytest.mark.parametrize(
    ("kind", "step"), [("heatmaps", "heatmaps"), ("distances", "distances"), ("nearest", "select")]
)
def test_a_damaged_shard_is_mended_by_its_step(finished, how, kind, step):
    before = datasets(finished.path)
    shard = next((finished.path / "shards" / kind).rglob("*.h5"))
    damage(shard, how)
    marks = finished.marks()
    getattr(finished, step)()
    assert str(datasets(finished.path)) == str(before)
    assert finished.marks() == marks


def test_a_damaged_shard_is_never_worked_with(finished, material, tmp_path):
    damage(next((finished.path / "shards" / "heatmaps").rglob("*.h5")), "flipped")
    finished.configure(layer="0", max_clusters=5).run()
    fresh = Study.create(tmp_path / "fresh", **material, layer="0", max_clusters=5).run()
    assert str(datasets(finished.path)) == str(datasets(fresh.path))


def test_finished_shards_are_not_computed_again(material, tmp_path, monkeypatch):
    monkeypatch.setattr("hudd.store.ShardSet.rows_for", staticmethod(lambda row_bytes: 5))
    study = Study.create(tmp_path / "study", **material)
    study.heatmaps()
    shards = sorted((study.path / "shards" / "heatmaps").rglob("*.h5"))
    times = {path: path.stat().st_mtime_ns for path in shards}
    assert len(shards) > 3
    shards[1].unlink()
    study.heatmaps()
    assert [path for path in shards if path.stat().st_mtime_ns != times[path]] == [shards[1]]


def test_a_read_only_directory(finished):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    finished.path.chmod(0o500)
    try:
        with pytest.raises(HuddError, match=r"cannot write .* make the directory writable"):
            finished.configure(factor=0.5)
    finally:
        finished.path.chmod(0o700)


def test_no_shard_of_other_settings_is_left(finished):
    finished.configure(pool="channel").run()
    for kind in ("heatmaps", "nearest"):
        assert len(list((finished.path / "shards" / kind).iterdir())) == 1
