"""kill -9 at any write and at any time: the next start goes on, and ends with the same study."""

import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from hudd.study import Study

pytestmark = pytest.mark.slow

# Forks before torch has started a thread, so that each attempt costs no import. Shards are small, so that there are
# many. The first attempts are killed in one step each, the others anywhere. A study that is finished before it was
# killed often enough is followed by another one. After every kill it is opened and told.
DRIVER = """
import collections, json, os, pathlib, random, signal, sys, time
import torch
from hudd.store import ShardSet
from hudd.study import Study
import hudd.study.steps.distances as distances, hudd.study.steps.retrain

root, choices, kills = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
rng, stage = random.Random(1), root / "stage"
steps = ["heatmaps", "distances", "cluster", "select", "retrain"]
ShardSet.rows_for = staticmethod(lambda row_bytes: 24)
distances.SHARD_BYTES = 40_000


def attempt(path, step, at_write, after):
    sync, bring, count = os.fsync, Study.run_step, 0

    def fsync(handle):
        nonlocal count
        count += step in (None, stage.read_text())
        if count == at_write and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)
        if count == at_write:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(study, step):
        stage.write_text(step)
        return bring(study, step)

    os.fsync, Study.run_step = fsync, told
    torch.set_num_threads(1)
    (Study.open(path) if (path / "study.h5").exists() else Study.create(path, **choices)).run()
    os._exit(0)


def shards(path):
    found = ((shard, shard.stat()) for shard in (path / "shards").rglob("0*.h5"))
    return {shard: (status.st_ino, status.st_mtime_ns) for shard, status in found}


killed, number, there = collections.Counter(), 0, {}
while True:
    path = root / f"killed-{number}"
    step = steps.pop(0) if steps else None
    at_write, after = rng.randint(1, 4 if step else 5), rng.random() < 0.5
    by_time = step is None and rng.random() < 0.3
    if killed.total() >= kills:
        at_write, by_time = 0, False
    stage.write_text("create")
    child = os.fork()
    if child == 0:
        attempt(path, step, 0 if by_time else at_write, after)
    if by_time:
        time.sleep(rng.uniform(0.2, 4))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    now = shards(path)
    again = [str(shard) for shard in now if there.get(shard, now[shard]) != now[shard]]
    if again:
        sys.exit(f"computed again: {again}")
    there = now
    if os.WIFSIGNALED(status):
        killed[stage.read_text()] += 1
        if (path / "study.h5").exists():
            Study.open(path).summary()
    elif os.WEXITSTATUS(status) != 0:
        sys.exit(f"attempt after {killed} ended with {status}")
    else:
        number += 1
        if killed.total() >= kills:
            break
print(json.dumps(killed))
"""


def datasets(path):
    found = {}
    with h5py.File(path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: np.asarray(value).tolist() for name, value in found.items()}


def drive(root, choices, kills):
    """Kill and resume until it is enough; return the studies that came of it and the kills by step."""
    root.mkdir()
    result = subprocess.run(
        [sys.executable, "-c", DRIVER, str(root), json.dumps(choices), str(kills)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return sorted(root.glob("killed-*")), json.loads(result.stdout)


@pytest.mark.slow
def test_killed_at_random_it_ends_as_if_it_had_run_through(material, tmp_path):
    """HUDD_KILLS sets how often; HUDD_DIGITS names a folder made by 'hudd demo --case digits', to be run instead."""
    kills, choices = int(os.environ.get("HUDD_KILLS", "12")), {**material, "modes": ["hudd", "random"]}
    if "HUDD_DIGITS" in os.environ:
        demo = Study.open(os.environ["HUDD_DIGITS"]).settings
        names = ("model", "weights", "test", "train", "improvement", "training", "modes")
        choices = {name: getattr(demo, name) for name in names}
    (whole,), _ = drive(tmp_path / "whole", choices, 0)
    expected = datasets(whole)
    studies, killed = drive(tmp_path / "studies", choices, kills)
    print(f"kills by step: {killed}; studies: {len(studies)}; datasets of each: {len(expected)}")
    assert sum(killed.values()) == kills
    assert {"heatmaps", "distances", "cluster", "select", "retrain"} <= killed.keys()
    for study in studies:
        found = datasets(study)
        assert found.keys() == expected.keys()
        assert not [name for name in expected if str(found[name]) != str(expected[name])]
        assert not [p for p in study.rglob("*") if ".aside" in p.name or "checkpoint" in p.name]


def test_weights_that_were_not_renamed_yet_are_removed(material, tmp_path):
    study = Study.create(tmp_path / "study", **material).run()
    left = study.path / "models" / ".aside-1-hudd-0.safetensors"
    left.touch()
    study.run()
    assert not left.exists()


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


@pytest.mark.slow
def test_a_read_only_directory(finished):
    configure = "import sys, hudd; hudd.Study.open(sys.argv[1]).configure(factor=0.5)"
    command = [sys.executable, "-c", configure, str(finished.path)]
    if os.geteuid() == 0:  # who may write anywhere, unless this right is taken away
        command = ["setpriv", "--bounding-set", "-dac_override", *command]
    finished.path.chmod(0o500)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        finished.path.chmod(0o700)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert re.search(r"HuddError: cannot write .* make the directory writable", told)


def test_no_shard_of_other_settings_is_left(finished):
    finished.configure(pool="channel").run()
    for kind in ("heatmaps", "nearest"):
        assert len(list((finished.path / "shards" / kind).iterdir())) == 1
