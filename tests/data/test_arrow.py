"""Tables of images: Parquet, and what Hugging Face's datasets save."""

import numpy as np
import pytest

from hudd.data import open_source
from hudd.errors import UsageError
from tests.data.packing import jpeg, save_to_disk, table, tar

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NAMES = [f"{folder}/{number}.jpg" for folder in ("cat", "dog") for number in range(5)]
CONTENTS = [jpeg(seed) for seed in range(10)]
LABELS = [0] * 5 + [1] * 5


@pytest.fixture
def packed(tmp_path):
    """The images in an archive, to compare with."""
    return open_source(tar(tmp_path / "same.tar", list(zip(NAMES, CONTENTS))))


def signs(**columns):
    return table(NAMES, CONTENTS, label=LABELS, label_names=["cat", "dog"], **columns)


def written(folder, found, *ends, groups=3):
    folder.mkdir()
    for number, (start, stop) in enumerate(zip((0, *ends), (*ends, len(found)))):
        part = found.slice(start, stop - start)
        pq.write_table(
            part, folder / f"test-{number:05d}-of-{len(ends) + 1:05d}.parquet", row_group_size=groups
        )
    return folder


def assert_same(one, other):
    one.check()
    assert list(one.paths) == list(other.paths)
    assert one.class_names == other.class_names
    np.testing.assert_array_equal(one.labels, other.labels)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(one))
        np.testing.assert_array_equal(one.load(rows).numpy(), other.load(rows).numpy())


@pytest.mark.parametrize("ends", [(), (3,), (1, 9)])
@pytest.mark.parametrize("groups", [1, 3, 100])
def test_parquet_is_its_archive(tmp_path, packed, ends, groups):
    folder = written(tmp_path / "data", signs(), *ends, groups=groups)
    for spec in (folder, f"{folder}/*.parquet"):
        assert_same(open_source(spec), packed)
    assert open_source(folder).fingerprint() == packed.fingerprint()


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_a_saved_dataset_is_its_archive(tmp_path, packed, rows):
    saved = save_to_disk(tmp_path / "saved", signs(), rows)
    assert_same(open_source(saved), packed)
    assert open_source(saved).fingerprint() == packed.fingerprint()


def test_bytes_columns_and_parameters(tmp_path):
    import datetime

    found = pa.table({
        "key": NAMES, "jpg": CONTENTS, "label": ["cat"] * 5 + ["dog"] * 4 + [None], "speed": [1, None, *range(8)],
        "day": [datetime.date(2024, 1, 2)] * 10, "boxes": [[1, 2]] * 10, "flag": [True] * 10,
    })  # fmt: skip
    pq.write_table(found, tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    source.check()
    assert list(source.paths) == NAMES
    assert source.labels.tolist() == [*LABELS[:9], -1]
    assert np.isnan(source.parameters["speed"][1])
    assert source.parameters["day"][0] == "2024-01-02"
    assert sorted(source.parameters) == ["day", "flag", "key", "speed"]
    assert "were passed over" in source.remarks[0]


def test_images_without_names_are_counted_over_all_files(tmp_path):
    found = table([None] * 10, CONTENTS, label=LABELS)
    source = open_source(written(tmp_path / "data", found, 4))
    assert list(source.paths) == [f"data[{row}]" for row in range(10)]
    assert list(open_source(written(tmp_path / "other", found)).paths)[9] == "other[9]"


def test_a_manifest_stays_a_manifest(tmp_path, draw):
    draw(tmp_path / "a.png")
    pq.write_table(pa.table({"path": ["a.png"], "label": [1]}), tmp_path / "a.parquet")
    assert open_source(tmp_path / "a.parquet").files == [tmp_path / "a.png"]
    with pytest.raises(UsageError, match="no column of images"):
        open_source(tmp_path / "*.parquet")


def test_damaged_and_missing_images_are_named(tmp_path):
    contents = [*CONTENTS[:3], b"none", CONTENTS[4][:90], None, *CONTENTS[6:]]
    source = open_source(written(tmp_path / "data", table(NAMES, contents, label=LABELS), 4))
    with pytest.raises(
        UsageError, match=r"'cat/3.jpg' in .*cannot be decoded .* 2 more of 10: 'cat/4.jpg', 'dog/0"
    ):
        source.check()
    bad = dict(source.faults())
    assert sorted(bad) == [3, 4, 5]
    assert "its bytes are not in the table" in bad[5]
    left = source.without(bad)
    left.check()
    np.testing.assert_array_equal(left.load([3]).numpy(), source.load([6]).numpy())


def test_classes_by_name(tmp_path):
    folder = written(tmp_path / "data", signs())
    assert open_source(folder, class_names=["dog", "cat"]).labels.tolist() == [1 - one for one in LABELS]
    with pytest.raises(UsageError, match="class 'cat', which is none"):
        open_source(folder, class_names=["dog", "owl"])


def test_refused(tmp_path):
    both = pa.table({"left": [{"bytes": b"", "path": ""}], "right": [{"bytes": b"", "path": ""}]})
    pq.write_table(both, tmp_path / "both.parquet")
    with pytest.raises(UsageError, match="image columns 'left', 'right'"):
        open_source(tmp_path / "both.parquet")
    pq.write_table(table(["a", "a"], CONTENTS[:2]), tmp_path / "twice.parquet")
    with pytest.raises(UsageError, match=r"image 'a' is twice in '.*twice.parquet'"):
        open_source(tmp_path / "twice.parquet")
    pq.write_table(signs(), tmp_path / "large.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hudd.data.arrow._LARGEST_GROUP", 10)
        with pytest.raises(UsageError, match=r"has a row group of .*row_group_size=1000"):
            open_source(tmp_path / "large.parquet")
    (tmp_path / "sets").mkdir()
    for name in ("test-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"):
        pq.write_table(signs(), tmp_path / "sets" / f"{name}.parquet")
    with pytest.raises(UsageError, match="holds the sets 'test', 'train'; name one"):
        open_source(tmp_path / "sets")
    tar(tmp_path / "sets" / "a.tar", [])
    with pytest.raises(UsageError, match="files of the kinds"):
        open_source(tmp_path / "sets")
    (tmp_path / "dict").mkdir()
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(UsageError, match=r"holds the splits 'train', 'test'; name one: '.*dict/test'"):
        open_source(tmp_path / "dict")
    saved = save_to_disk(tmp_path / "chosen", signs())
    (saved / "state.json").write_text('{"_indices_data_files": [{"filename": "indices.arrow"}]}')
    with pytest.raises(UsageError, match="flatten_indices"):
        open_source(saved)
    (saved / "state.json").write_text('{"_data_files": [{"filename": "gone.arrow"}]}')
    with pytest.raises(UsageError, match=r"gone.arrow"):
        open_source(saved)
    for file in ("damaged.arrow", "damaged.parquet"):
        (tmp_path / "damaged").mkdir(exist_ok=True)
        (tmp_path / "damaged" / file).write_bytes(b"PAR1 and no more" * 9)
    with pytest.raises(UsageError, match=r"damaged.arrow' cannot be read"):
        open_source(tmp_path / "damaged")
    with pytest.raises(UsageError, match=r"damaged.parquet' cannot be read"):
        open_source(f"{tmp_path}/damaged/*.parquet")


def test_threads_read_the_same(tmp_path, packed):
    from hudd.data.loader import batches

    source = open_source(written(tmp_path / "data", signs(), 5, groups=2))
    found = [images.numpy() for _, images in batches(source, np.arange(10)[::-1], 3, workers=4)]
    np.testing.assert_array_equal(np.concatenate(found), packed.load(np.arange(10)[::-1]).numpy())
