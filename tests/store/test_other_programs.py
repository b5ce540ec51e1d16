"""A study that other programs have opened: none lost where its content is sound, none accepted where it is not.

HUDD_SPOILED sets how many are corrupted, one of each kind by default.
"""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import h5py
import numpy as np
import pytest

from hudd.errors import HuddError, HuddWarning
from hudd.store import ShardSet, StudyFile, repair, write_dataset
from hudd.store.superblock import released

SPOILING = runpy.run_path(str(Path(__file__).with_name("corrupting.py")))
available, corrupt = SPOILING["available"](), SPOILING["corrupt"]

READ = """
import pickle, sys, h5py, numpy as np
def value(item):
    return item[()] if isinstance(item, h5py.Dataset) and item.shape is not None and not item.is_virtual else None
found = {}
def read(name, item):
    links = ("DIMENSION_LIST", "REFERENCE_LIST")
    attributes = {k: np.asarray(v).tolist() for k, v in item.attrs.items() if k not in links}
    values = value(item)
    found[name] = (attributes, None if values is None else (str(values.dtype), np.asarray(values).tolist()))
with h5py.File.in_memory(open(sys.argv[1], "rb").read()) as file:
    read("/", file)
    file.visititems(read)
pickle.dump(found, open(sys.argv[2], "wb"))
"""


def content(path, tmp_path):
    """Every value and attribute as h5py alone reads them, in a process that may crash; None where it cannot."""
    out = tmp_path / "content.pickle"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-c", READ, path, out]
    subprocess.run(command, capture_output=True, check=False)
    return np.load(out, allow_pickle=True) if out.exists() and out.stat().st_size else None


def holds(found, wanted):
    """Whether all of `wanted` is in `found`, equal."""
    if found is None:
        return False
    for name, (attributes, values) in wanted.items():
        other, others = found.get(name, ({}, None))
        if repr(values) != repr(others) or any(
            key not in other or repr(other[key]) != repr(own) for key, own in attributes.items()
        ):
            return False
    return True


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study's file as the steps leave it, small, with a shard."""
    folder = tmp_path_factory.mktemp("whole")
    file, rng = StudyFile(folder / "study.h5"), np.random.default_rng(0)
    file.create({"settings": '{"model": "m:f"}', "model": "m:f", "hudd_version": "0", "seed": 3})
    shards = ShardSet(folder / "shards" / "heatmaps" / "f00d", 40, 40, "f00d")
    shards.write(0, {"fc": rng.random((40, 3), np.float32)})
    with file.writing() as h5:
        names = [f"ä/{i}.png" for i in range(60)]
        write_dataset(h5, "splits/test/path", names, description="p", dims=("path",), scale=True)
        write_dataset(h5, "splits/test/score", rng.random(60, np.float32), description="s", dims=("path",))
        write_dataset(h5, "error", np.arange(40), description="rows", dims=("error",), scale=True)
        layout = shards.virtual_layout("fc", folder)
        write_dataset(h5, "layers/fc/relevance", layout, description="r", dims=("error", "unit"))
        write_dataset(h5, "layers/fc/linkage", rng.random((39, 4)), description="l", dims=("merge", "field"))
        write_dataset(h5, "clusters/label", np.ones(40, int), description="c", dims=("error",))
        h5.create_group("steps/test").attrs.update(fingerprint="a" * 64, seconds=1.5, threads=2)
        h5["layers/fc"].attrs.update(index=0, shape=np.array([3]))
    file.settle()
    return folder


CHANGES = ("value changed", "attribute changed", "object removed", "repacked with the shards in it")


@pytest.mark.slow
@pytest.mark.parametrize("name", available)
def test_none_is_lost_and_none_accepted_wrongly(study, tmp_path, name):
    count = int(os.environ.get("HUDD_SPOILED", "0"))
    kinds = list(available)
    rounds = len(range(kinds.index(name), count, len(kinds))) or 1
    for number in range(rounds):
        place = tmp_path / str(number)
        shutil.copytree(study, place)
        path, rng = place / "study.h5", Random(f"{name} {number}")
        wanted = content(path, tmp_path)
        assert wanted
        if not name.startswith(
            ("bits", "bytes", "cut")
        ):  # damage to the record is damage; other programs drop it
            wanted["/"][0].pop("checksums")
        corrupt(name, path, rng)
        corrupted = path.read_bytes()
        cleared = place / "cleared.h5"  # of the mark of a killed writer, which is no content
        cleared.write_bytes(corrupted)
        if name.startswith("killed"):
            cleared.write_bytes(released(corrupted))
        sound = holds(content(cleared, tmp_path), wanted)
        cleared.unlink()
        assert sound or name in CHANGES or name.startswith(("bits", "bytes", "cut")), name
        if not sound:
            with pytest.raises(HuddError, match=r"is damaged \(.+\)|does not hold what hudd wrote: '"):
                repair(path)
            assert path.read_bytes() == corrupted
            continue
        repair(path)
        with StudyFile(path).reading() as h5:
            assert len(h5["layers/fc/relevance"][()]) == 40
        with StudyFile(path).writing() as h5:
            write_dataset(h5, "clusters/label", np.full(40, 2), description="c", dims=("error",))
        assert holds(content(path, tmp_path), {"error": wanted["error"]})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["opened r+", "attribute added", "killed while open", "copied object by object"]
)
def test_what_is_sound_is_sealed_by_whoever_opens_it_next_who_says_so(study, tmp_path, name):
    shutil.copytree(study, tmp_path / "study")
    path = tmp_path / "study" / "study.h5"
    corrupt(name, path, Random(1))
    said = pytest.warns(HuddWarning, match=r"study\.h5' was .*another program.*; it is sealed again\.")
    with said, StudyFile(path).reading() as h5:
        assert len(h5["error"]) == 40
    with StudyFile(path).reading():
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("value changed", r"does not hold what hudd wrote: 'error' \(its values\)"),
        ("attribute changed", r"does not hold what hudd wrote: '/' \(attribute 'seed'\)"),
        ("object removed", r"does not hold what hudd wrote: '\w+' \(missing\)"),
    ],
)
def test_changes_are_named_and_kept_only_where_that_is_asked(study, tmp_path, name, says):
    shutil.copytree(study, tmp_path / "study")
    path = tmp_path / "study" / "study.h5"
    corrupt(name, path, Random(1))
    for refused in (lambda: repair(path), lambda: StudyFile(path).reading().__enter__()):
        with pytest.raises(HuddError, match=rf"{says}.*hudd repair .*study --accept-changes"):
            refused()
    assert "is kept with what another program changed" in repair(path, accept_changes=True)
    with StudyFile(path).reading() as h5:
        assert h5.attrs["model"] == "m:f"


@pytest.mark.slow
@pytest.mark.timing
def test_a_file_that_is_open_elsewhere_is_left_alone(study, tmp_path, monkeypatch):
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)  # the command line sets it
    shutil.copytree(study, tmp_path / "study")
    path = tmp_path / "study" / "study.h5"
    code = "import sys, h5py; f = h5py.File(sys.argv[1], 'r+'); print(1, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, path], **pipes) as process:
        process.stdout.readline()
        with pytest.raises(HuddError, match="is open in another program to write; close it there"):
            repair(path)
        process.stdin.close()
    assert "sealed again" in repair(path)


def test_a_file_without_checksums_is_repaired_only_on_demand_and_never_where_its_seal_is_wrong(tmp_path):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"settings": "{}"})
    sealed = file.path.read_bytes()
    file.path.write_bytes(sealed.replace(b"settings", b"sattings"))
    with pytest.raises(HuddError, match="is damaged"):
        repair(file.path)
    file.path.write_bytes(sealed)
    with h5py.File(file.path, "r+"):
        pass
    with pytest.raises(HuddError, match=r"'hudd repair .*' reads it whole"), file.reading():
        pass
    assert "has no checksums to compare its values with; it is sealed again" in repair(file.path)
    assert "nothing to repair" in repair(file.path)
