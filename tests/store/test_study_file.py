"""study.h5: described, whole at every moment, refused clearly when it is something else."""

import errno
import os
import resource
import sys

import h5py
import numpy as np
import pytest

from hudd.errors import HuddError, UsageError
from hudd.store import StudyFile, read_values, write_dataset
from hudd.store.inspection import Inspection
from hudd.store.stored import Stored


@pytest.fixture
def file(tmp_path):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"hudd_version": "0.1.0", "seed": 3})
    return file


def test_a_change_is_there_when_the_body_ends(file):
    with file.writing() as h5:
        write_dataset(h5, "error", np.arange(3), description="rows", dims=("error",), scale=True)
        write_dataset(h5, "clusters/label", np.ones(3), description="cluster", dims=("error",))
    with file.reading() as h5:
        assert h5["clusters/label"].dims[0][0] == h5["error"]
        assert h5["clusters/label"].attrs["description"] == "cluster"
        assert h5.attrs["seed"] == 3


def test_a_failed_change_leaves_the_old_file(file):
    before = file.path.read_bytes()

    def fail():
        with file.writing() as h5:
            h5.attrs["seed"] = 4
            raise KeyError("seed")

    with pytest.raises(KeyError):
        fail()
    assert file.path.read_bytes() == before
    assert [p.name for p in file.path.parent.iterdir()] == ["study.h5"]


def test_a_dimension_without_coordinates_takes_no_storage(file):
    with file.writing() as h5:
        write_dataset(h5, "layers/fc/distance", np.zeros(6, "f4"), description="d", dims=("pair",))
    with file.reading() as h5:
        scale = h5["layers/fc/distance"].dims[0][0]
        assert scale.name == "/layers/fc/pair"
        assert scale.id.get_storage_size() == 0


def test_datasets_are_replaced_and_the_file_does_not_grow(file):
    def size():
        with file.writing() as h5:
            write_dataset(h5, "x", np.zeros(100_000), description="x", dims=("n",))
        return file.path.stat().st_size

    first = size()
    assert max(size() for _ in range(6)) < 1.2 * first


def test_text_comes_back(file):
    words = np.array(["ä.png", "b/c.png"], dtype=object)
    with file.writing() as h5:
        write_dataset(h5, "path", words, description="where", dims=("path",), scale=True)
    with file.reading() as h5:
        assert read_values(h5["path"]).tolist() == words.tolist()


def test_absent(tmp_path):
    with (
        pytest.raises(UsageError, match="does not exist; make a study"),
        StudyFile(tmp_path / "study.h5").reading(),
    ):
        pass


def test_not_hdf5(tmp_path):
    (tmp_path / "study.h5").write_text("hello")
    with pytest.raises(HuddError, match="not an HDF5 file"), StudyFile(tmp_path / "study.h5").reading():
        pass


@pytest.mark.parametrize(
    ("attributes", "says"), [({}, "without a 'format'"), ({"format": "x"}, "of format 'x'")]
)
def test_foreign(tmp_path, attributes, says):
    with h5py.File(tmp_path / "study.h5", "w") as h5:
        h5.attrs.update(attributes)
    with pytest.raises(UsageError, match=says), StudyFile(tmp_path / "study.h5").reading():
        pass


def test_another_version(file):
    with file.writing() as h5:
        h5.attrs["version"] = 7
    with (
        pytest.raises(UsageError, match=r"version 7, written by hudd 0\.1\.0; this hudd reads version 1"),
        file.reading(),
    ):
        pass


def test_a_flipped_bit_anywhere_is_found_before_hdf5_reads_it(tmp_path, monkeypatch):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"settings": "{}"})
    sound = file.path.read_bytes()
    monkeypatch.setattr(sys.modules["hudd.store.repair"], "inspect", lambda content, path: Inspection())
    for at in range(0, len(sound) - 60, 97):
        damaged = bytearray(sound)
        damaged[at] ^= 0x10
        file.path.write_bytes(damaged)
        with pytest.raises(HuddError, match="wrong checksum"), StudyFile(file.path).reading():
            pass
    file.path.write_bytes(sound)
    with file.reading() as h5:
        assert h5.attrs["settings"] == "{}"


def test_what_is_missing_or_of_another_kind_is_told_as_damage(tmp_path):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"settings": "{}"})
    for read in (
        lambda h5: h5["nothing"],
        lambda h5: h5.attrs["nothing"],
        lambda h5: int("x"),
        lambda h5: [][0],
    ):
        with (
            pytest.raises(HuddError, match=r"study\.h5' is damaged \(.*\); restore it"),
            file.reading() as h5,
        ):
            read(h5)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EACCES])
def test_what_the_system_refuses_is_not_told_as_damage(file, number):
    says = f"cannot read .*study\\.h5' \\({os.strerror(number).lower()}\\): see to it and run the same command again"
    for error in (
        OSError(number, os.strerror(number)),
        KeyError(
            f"Unable to open object (file read failed: time = x, errno = {number}, error message = 'x')"
        ),
    ):
        with pytest.raises(HuddError, match=says), file.reading():
            raise error


def test_too_many_open_files(file):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with (
            pytest.raises(HuddError, match=r"cannot read .*study\.h5' \(too many open files\)"),
            file.reading(),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("error", [MemoryError, TypeError, AttributeError])
def test_what_is_not_the_files_fault_stays_what_it_is(file, error):
    with pytest.raises(error), file.reading():
        raise error("x")


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda h5: h5.create_group("error"),
        lambda h5: h5.create_dataset("error", data=0),
        lambda h5: h5.create_dataset("error", data=np.zeros(3)),
        lambda h5: h5.create_dataset("class", data=np.array([b"a"])),
        lambda h5: h5.create_dataset("splits", data=[1]),
        lambda h5: h5.create_dataset("clusters/label", data=np.zeros((2, 2), int)),
        lambda h5: h5.create_group("clusters").attrs.update(layer=3),
        lambda h5: h5.create_group("layers/fc").attrs.update(index="first"),
    ],
)
def test_what_something_of_the_wrong_kind_causes_is_told_as_damage(file, corrupt):
    with file.writing() as h5:
        corrupt(h5)
    with pytest.raises(HuddError, match=r"is damaged \(TypeError: x\)"), file.reading():
        raise TypeError("x")


def test_a_study_is_not_written_over(file):
    before = file.path.read_bytes()
    with pytest.raises(UsageError, match="holds a study already"):
        file.create({})
    assert file.path.read_bytes() == before


def test_a_group_where_an_array_belongs_is_told_as_damage(tmp_path):
    file = StudyFile(tmp_path / "study.h5")
    file.create({"settings": "{}"})
    with file.writing() as h5:
        h5.create_group("layers")
        h5["number"] = 3
    for name in ("layers", "number", "nothing"):
        with pytest.raises(HuddError, match=f"is damaged \\(no array at '{name}'\\)"):
            Stored(file.path, name)
