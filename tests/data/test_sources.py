import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hudd.data import ImageSource, batches, open_source
from hudd.data.arrays import ArraySource
from hudd.errors import UsageError

CODE = """
import numpy as np
from PIL import Image
from hudd.data.arrays import ArraySource

IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)

def source():
    return ArraySource(IMAGES, list("abcd"), [0, 1, 1, 0], ["no", "yes"])

class Dataset:
    classes = ["no", "yes"]
    def __len__(self):
        return 4
    def __getitem__(self, index):
        if index >= 4:
            raise IndexError(index)
        return Image.fromarray(IMAGES[index]), index % 2

dataset = Dataset

def tensors():
    return [(torch.zeros(1, 2, 2), 0)]

def nothing():
    return None

def empty():
    return []

def unpaired():
    return [np.zeros((2, 2), np.uint8)]

def arrays():
    return [(IMAGES[0], 0), (IMAGES[1] / 2, 1)]

def deep():
    return [(Image.fromarray(IMAGES[0].astype(np.uint16) * 257), 0)]

def lazy():
    from mypixels import made
    return made()
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "mydata.py").write_text(CODE)
    return tmp_path / "mydata.py"


def test_factories_of_sources_and_datasets(code):
    source = open_source(f"{code}:source", class_names=["yes", "no"])
    assert source.labels.tolist() == [1, 0, 0, 1]
    dataset = open_source(f"{code}:dataset")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.class_names == ["no", "yes"]
    assert dataset.paths[1] == "dataset[1]"
    assert torch.equal(dataset.load([3, 0]), source.load([3, 0]))
    assert dataset.fingerprint() == open_source(f"{code}:dataset").fingerprint()


def test_a_module_in_the_current_folder(code, monkeypatch):
    monkeypatch.chdir(code.parent)
    assert len(open_source("mydata:source")) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "made an object of type NoneType"),
        ("empty", "holds no images"),
        ("absent", r"no function 'absent' \(it has .*dataset"),
        ("unpaired", "must hold pairs"),
        ("tensors", "failed: NameError"),
    ],
)
def test_unusable_factories(code, name, message):
    with pytest.raises(UsageError, match=message):
        open_source(f"{code}:{name}")


def test_a_factory_may_import_from_its_folder_when_it_is_called(code, tmp_path, monkeypatch):
    (tmp_path / "mypixels.py").write_text("from mydata_of_its_own import made")
    (tmp_path / "mydata_of_its_own.py").write_text(CODE.replace("def source", "def made"))
    before = list(sys.path)
    assert len(open_source(f"{code}:lazy")) == 4
    monkeypatch.chdir(code.parent)
    assert len(open_source("mydata:lazy")) == 4
    assert sys.path == before


def test_a_dataset_of_deep_images_is_refused(code):
    with pytest.raises(UsageError, match=r"image 'deep\[0\]' has pixels of type I;16; convert it to 8 bits"):
        open_source(f"{code}:deep").load([0])


def test_a_dataset_must_give_pictures(code):
    source = open_source(f"{code}:arrays")
    assert source.load([0]).shape == (1, 1, 2, 3)
    with pytest.raises(UsageError, match=r"'arrays\[1\]' is a ndarray"):
        source.load([1])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no/such/folder", "no data at 'no/such/folder'"),
        ("none.csv", r"no data at 'none\.csv'"),
        ("none.csv::test", r"no data at 'none\.csv'"),
        ("none.npz", r"no data at 'none\.npz'"),
        ("no.such.module:data", "no module 'no'"),
        ("none.py:data", r"no file 'none\.py'"),
        (__file__, "a file of a kind not known"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(UsageError, match=message):
        open_source(spec)


@pytest.fixture(scope="module")
def numbers():
    images = np.arange(50, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(3, 2)
    return ArraySource(images, [str(n) for n in range(50)], np.zeros(50), ["all"])


@given(st.lists(st.integers(0, 49), max_size=60), st.integers(1, 20), st.integers(0, 4))
def test_batches_keep_the_order(numbers, rows, size, workers):
    seen, values = [], []
    for indices, images in batches(numbers, rows, size, workers=workers):
        assert len(indices) == len(images) <= size
        seen += indices.tolist()
        values += (images[:, 0, 0, 0] * 255).round().int().tolist()
    assert seen == values == rows


def test_batches_default_to_all_rows(numbers):
    assert [len(rows) for rows, _ in batches(numbers, None, 20)] == [20, 20, 10]


class Counting(ImageSource):
    """Counts how many batches were asked for; row 7 is broken."""

    def __init__(self):
        super().__init__([str(n) for n in range(40)], np.zeros(40), ["all"])
        self.decoded, self.lock = 0, threading.Lock()

    def pixels(self, index):
        if index == 7:
            raise UsageError("image 7 is broken")
        with self.lock:
            self.decoded += 1
        return np.zeros((2, 2), np.uint8)

    def contents(self):
        return ()


def test_batches_run_ahead_only_a_little_and_stop_with_the_caller():
    source = Counting()
    stream = batches(source, np.arange(10, 40), 1, workers=2)
    next(stream)
    stream.close()
    assert source.decoded <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hudd-decode")]


def test_a_broken_image_stops_the_batches_where_it_lies():
    stream = batches(Counting(), None, 5, workers=2)
    assert next(stream)[0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match="image 7"):
        next(stream)


@pytest.mark.parametrize(("rows", "size", "workers"), [([0], 0, 1), ([0], 1, -1), ([50], 1, 1), ([-1], 1, 1)])
def test_batches_check_before_any_work(numbers, rows, size, workers):
    with pytest.raises(UsageError):
        batches(numbers, rows, size, workers=workers)
