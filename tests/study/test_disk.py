"""A full disk, a read-only one, an image that cannot be read, a second process: one sentence, and nothing is lost."""

import itertools
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

import hudd.study.study as study_module
from hudd.errors import HuddError, UsageError
from hudd.store import ShardSet
from hudd.study import Study
from hudd.study.steps import distances, heatmaps

pytestmark = pytest.mark.slow

HOLDER = """
import pathlib, sys
from hudd.store import writer_lock
with writer_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def _small_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardSet, "rows_for", staticmethod(lambda row_bytes: 12))
        patch.setattr(distances, "SHARD_BYTES", 4000)
        yield


@pytest.fixture(scope="module")
def whole(material, tmp_path_factory):
    """The results of a run that nothing came in the way of."""
    return datasets(Study.create(tmp_path_factory.mktemp("whole") / "study", **material).run())


@pytest.fixture
def tmpfs(tmp_path):
    """A file system of 16 MiB of one's own."""
    place = tmp_path / "tmpfs"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def datasets(study):
    found = {}
    with h5py.File(study.path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: str(np.asarray(value).tolist()) for name, value in found.items()}


def shards(study):
    return {path: path.stat().st_mtime_ns for path in (study.path / "shards").rglob("0*.h5")}


def fill(place, room=0):
    """Leave no more room on the disk than a few bytes."""
    with (place / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
        file.truncate(file.tell() - room)


def resumes(study, whole):
    """Run what is left: every shard that is there stays, and the end is that of an undisturbed run."""
    study, before = Study.open(study.path), shards(study)
    study.summary()
    study.run()
    assert datasets(study) == whole
    after = shards(study)
    assert all(after[path] == time for path, time in before.items() if path in after)
    assert not list(study.path.rglob(".aside*"))


@pytest.mark.parametrize("kind", ["heatmaps", "distances", "nearest"])
def test_a_disk_that_gets_full_among_the_shards(tmpfs, material, whole, monkeypatch, kind):
    study, save, count = Study.create(tmpfs / "study", **material), ShardSet.save, itertools.count()

    def until_full(self, start, image):
        if kind in self.directory.parts and next(count) == (0 if kind == "nearest" else 2):
            fill(tmpfs)
        save(self, start, image)

    monkeypatch.setattr(ShardSet, "save", until_full)
    with pytest.raises(HuddError, match=r"cannot write .*no space left.*free some space and run the same"):
        study.run()
    monkeypatch.undo()
    (tmpfs / "ballast").unlink()
    resumes(study, whole)


@pytest.mark.parametrize("step", ["test", "cluster", "evaluate", "select", "retrain"])
def test_a_disk_that_is_full_when_a_step_begins(tmpfs, material, whole, step):
    study = Study.create(tmpfs / "study", **material)
    for before in itertools.takewhile(lambda name: name != step, study.possible_steps()):
        getattr(study, before)()
    fill(tmpfs, room=16 << 10)  # for the lock and the log
    with pytest.raises(HuddError, match=r"cannot write .*no space left.*free some space and run the same"):
        getattr(study, step)()
    (tmpfs / "ballast").unlink()
    resumes(study, whole)


def test_a_disk_that_is_too_small_is_told_before_the_work(tmpfs, material, monkeypatch):
    study, estimate = Study.create(tmpfs / "study", **material), heatmaps.estimate_step

    def on_a_full_disk(*arguments):
        fill(tmpfs)
        estimate(*arguments)

    monkeypatch.setattr(heatmaps, "estimate_step", on_a_full_disk)
    study.test()
    monkeypatch.setattr(ShardSet, "save", None)
    with pytest.raises(
        HuddError, match=r"heatmaps still to be computed take .* has 0 bytes left: free some space"
    ):
        study.heatmaps()


def test_a_read_only_disk(tmpfs, material, whole):
    study = Study.create(tmpfs / "study", **material).heatmaps()
    subprocess.run(["mount", "-o", "remount,ro", str(tmpfs)], check=True)
    assert Study.open(study.path).summary()["test"]["errors"] == len(study.errors)
    with pytest.raises(HuddError, match=r"cannot write .*read-only.*make the directory writable"):
        study.distances()
    subprocess.run(["mount", "-o", "remount,rw", str(tmpfs)], check=True)
    resumes(study, whole)


def test_an_image_that_cannot_be_read_in_the_middle(material, tmp_path):
    arrays = np.load(material["test"])
    for number, (image, label) in enumerate(zip(arrays["images"], arrays["labels"])):
        folder = tmp_path / "test" / str(arrays["class_names"][label])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03d}.bmp")
    choices = {**material, "test": str(tmp_path / "test"), "batch_size": 4}
    whole = datasets(Study.create(tmp_path / "whole", **choices).run())
    study = Study.create(tmp_path / "study", **choices).test()
    path = tmp_path / "test" / study.split("test").path[study.errors[len(study.errors) // 2]]
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(content)))  # a disk going bad: neither size nor time tell
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(HuddError, match=path.name):
        study.heatmaps()
    assert len(shards(study)) > 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    resumes(study, whole)


def test_a_study_that_another_process_made_meanwhile_stays(material, tmp_path, monkeypatch):
    check = study_module.check

    def slowly(study):
        monkeypatch.setattr(study_module, "check", check)
        Study.create(study.path, **material).test()
        check(study)

    monkeypatch.setattr(study_module, "check", slowly)
    with pytest.raises(UsageError, match="holds a study already; open it"):
        Study.create(tmp_path / "study", **material)
    assert Study.open(tmp_path / "study").has("splits/test")


@pytest.mark.timing
def test_two_processes_on_one_study(material, whole, tmp_path):
    study = Study.create(tmp_path / "study", **material).heatmaps()
    command = [sys.executable, "-c", HOLDER, str(study.path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(
            HuddError, match=rf"being written by process {other.pid} on .*wait until it has ended"
        ):
            study.distances()
        assert Study.open(study.path).summary()["layers"]
        other.kill()
    resumes(study, whole)
