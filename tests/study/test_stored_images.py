"""Images of a folder, of tar archives and of tables: the same study, which goes on where it was stopped."""

import numpy as np
import pytest
from PIL import Image

from hudd.attributes import sample
from hudd.data import decoding
from hudd.data.encoded import EncodedSource
from hudd.errors import UsageError
from hudd.study import Study
from hudd.study.steps import test as test_step
from hudd.study.wording import regions_of
from tests.data.packing import save_to_disk, table, tar

pytestmark = pytest.mark.slow

CLASSES = ["ant", "bee", "cat"]


def write_images(folder, count=150, seed=3):
    """JPEG files in a folder per class; some say how they were exposed."""
    rng = np.random.default_rng(seed)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x829A] = 0.01  # exposure time
    for number, label in enumerate(rng.integers(3, size=count)):
        pixels = rng.integers(0, 120, size=(8, 8), dtype=np.uint8)
        pixels[label * 2] += 100
        file = folder / CLASSES[label] / f"{number:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        options = {"exif": exif} if number % 3 else {}
        Image.fromarray(pixels).save(file, quality=95, **options)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same images, stored in several ways."""
    pq = pytest.importorskip("pyarrow.parquet")
    root = tmp_path_factory.mktemp("sets")
    write_images(root / "folder")
    files = sorted((root / "folder").rglob("*.jpg"))
    names = [file.relative_to(root / "folder").as_posix() for file in files]
    contents = [file.read_bytes() for file in files]
    labels = [CLASSES.index(name.split("/")[0]) for name in names]
    members = [(name, content) for name, content in zip(names, contents)]
    tar(root / "one.tar", members)
    for number, start in enumerate(range(0, len(members), 40)):
        tar(root / f"part-{number}.tar", members[start : start + 40])
    found = table(names, contents, label=labels, label_names=CLASSES)
    (root / "tables").mkdir()
    for number, start in enumerate(range(0, len(found), 70)):
        pq.write_table(found.slice(start, 70), root / "tables" / f"{number}.parquet", row_group_size=32)
    save_to_disk(root / "saved", found, 50)
    return {
        "folder": root / "folder",
        "an archive": root / "one.tar",
        "archives": f"{root}/part-{{0..3}}.tar",
        "tables": root / "tables",
        "a saved dataset": root / "saved",
    }


def make(path, material, data, **options):
    own = {name: material[name] for name in ("model", "weights")}
    return Study.create(path, **own, test=str(data), classes=tuple(CLASSES), batch_size=16, **options)


def found_in(study):
    """Everything that a study has found of its images, by name."""
    skipped = ("fingerprint", "seconds", "finished")
    kept = {}
    with study.file.reading() as h5:

        def take(name, item):
            if hasattr(item, "shape") and not name.startswith("steps") and not name.endswith("reading"):
                kept[name] = item[...].tolist()

        h5.visititems(take)
    return {name: value for name, value in kept.items() if name not in skipped}


@pytest.fixture(scope="module")
def of_the_folder(sets, material, tmp_path_factory):
    return found_in(make(tmp_path_factory.mktemp("studies") / "folder", material, sets["folder"]).cluster())


@pytest.mark.parametrize("how", ["an archive", "archives", "tables", "a saved dataset"])
def test_the_same_study(sets, material, of_the_folder, tmp_path, how):
    found = found_in(make(tmp_path / "study", material, sets[how]).cluster())
    assert found.keys() == of_the_folder.keys()
    for name, values in of_the_folder.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert len(found["error"]) > 10
    assert "splits/test/attributes/exposure_time" in found


def test_pillow_makes_the_same_study(sets, material, of_the_folder, tmp_path):
    found = found_in(make(tmp_path / "study", material, sets["archives"], decoder="pillow").cluster())
    for name, values in of_the_folder.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_stopped_test_reads_only_what_is_missing(sets, material, tmp_path, monkeypatch):
    monkeypatch.setattr(test_step, "_ROWS_PER_SHARD", 32)
    read, count = EncodedSource.read_bytes, 0

    class Stopped(Exception):
        """As a kill, but in this process."""

    def read_some(source, indices):
        nonlocal count
        if len(indices) == 16 and (count := count + 16) > 100:
            raise Stopped
        return read(source, indices)

    study = make(tmp_path / "study", material, sets["archives"], workers=0)
    monkeypatch.setattr(EncodedSource, "read_bytes", read_some)
    with pytest.raises(Stopped):
        study.test()
    done = len(list((tmp_path / "study" / "shards").rglob("0*.h5")))
    assert done == 3
    rows = []

    def read_rows(source, indices):
        if len(indices) == 16 or list(indices) == list(range(144, 150)):
            rows.extend(np.asarray(indices).tolist())
        return read(source, indices)

    monkeypatch.setattr(EncodedSource, "read_bytes", read_rows)
    again = Study.open(tmp_path / "study").test()
    assert sorted(rows) == list(range(32 * done, 150))
    monkeypatch.setattr(EncodedSource, "read_bytes", read)
    whole = make(tmp_path / "whole", material, sets["archives"]).test()
    for name, values in found_in(whole).items():
        np.testing.assert_array_equal(found_in(again)[name], values)


def test_a_study_keeps_to_its_decoder(sets, material, tmp_path, monkeypatch):
    pytest.importorskip("simplejpeg")
    study = make(tmp_path / "study", material, sets["an archive"]).test()
    assert study.provenance["decoder"] == "simplejpeg"
    mark = test_step.fingerprint(study.inputs, "test")
    monkeypatch.setattr(decoding, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the JPEG decoder is 'simplejpeg', which is not installed"):
        Study.open(tmp_path / "study").test()
    other = make(tmp_path / "other", material, sets["an archive"]).test()
    assert other.provenance["decoder"] == "pillow"
    monkeypatch.undo()
    opened = Study.open(tmp_path / "other")
    assert opened.source("test").decoder == "pillow"
    assert test_step.fingerprint(opened.inputs, "test") != mark


def test_damaged_images_are_left_out_when_asked(material, tmp_path):
    write_images(tmp_path / "folder", 60)
    files = sorted((tmp_path / "folder").rglob("*.jpg"))
    members = [(file.relative_to(tmp_path / "folder").as_posix(), file.read_bytes()) for file in files]
    members[7] = (members[7][0], b"none")
    tar(tmp_path / "a.tar", members)
    with pytest.raises(UsageError, match=f"'{members[7][0]}' in '.*' cannot be decoded"):
        make(tmp_path / "study", material, tmp_path / "a.tar")
    assert not (tmp_path / "study").exists()
    study = make(tmp_path / "study", material, tmp_path / "a.tar", skip_bad=True).test()
    assert len(study.split("test").path) == 59
    assert Study.open(tmp_path / "study").source("test").skipped[0][0] == members[7][0]


def test_what_is_told_of_many_images_stays_in_the_shards(
    sets, material, of_the_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(test_step, "_MANY", 100)
    monkeypatch.setattr(test_step, "_ROWS_OF_MANY", 64)
    study = make(tmp_path / "study", material, sets["archives"]).cluster()
    with study.file.reading() as h5:
        assert h5["splits/test/pixels"].is_virtual
    found = found_in(study)
    assert found.keys() == of_the_folder.keys()
    for name, values in of_the_folder.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert len(list((tmp_path / "study" / "shards" / "test" / "test").iterdir())) == 1
    for shard in (tmp_path / "study" / "shards" / "test").rglob("000001.h5"):
        shard.unlink()
    again = Study.open(tmp_path / "study").cluster()
    np.testing.assert_array_equal(found_in(again)["splits/test/pixels"], of_the_folder["splits/test/pixels"])
    study = again.configure(decoder="pillow").test()
    assert len(list((tmp_path / "study" / "shards" / "test" / "test").iterdir())) == 1
    found = study.split("test").attributes["exposure_time"]
    np.testing.assert_array_equal(found, of_the_folder["splits/test/attributes/exposure_time"])


@pytest.mark.parametrize(
    ("how", "options"), [("folder", {}), ("archives", {"workers": 0}), ("tables", {"workers": 3})]
)
def test_of_a_large_set_the_same_images_are_measured(
    sets, material, of_the_folder, tmp_path, monkeypatch, how, options
):
    monkeypatch.setattr(test_step, "WHOLE", 100)
    monkeypatch.setattr(sample, "DRAWN", 40)
    monkeypatch.setattr(sample, "ERRORS", 20)
    monkeypatch.setattr(test_step, "_MANY", 100)
    monkeypatch.setattr(test_step, "_ROWS_OF_MANY", 64)
    study = make(tmp_path / "study", material, sets[how], **options).test()
    found, test = found_in(study), study.split("test")
    errors = np.flatnonzero(~test.correct)
    chosen = np.asarray(test.measured)
    np.testing.assert_array_equal(chosen, sample.choose((path.encode() for path in test.path), errors))
    assert (chosen == sample.AS_DRAWN).sum() == 40 == test.counted.sum()
    assert (chosen[errors] > 0).sum() >= 20
    assert not chosen[test.correct & (chosen != sample.AS_DRAWN)].any()
    for name, values in of_the_folder.items():
        if name.startswith("splits/test/attributes/") and name.rpartition("/")[2] not in ("margin", "second"):
            values = np.where(chosen > 0, values, np.nan)
        if name.startswith("splits/"):
            np.testing.assert_array_equal(found[name], values, err_msg=name)
    told = [one for one in study.summary()["cautions"] if one.startswith("attributes of")]
    assert told == [
        f"attributes of {np.count_nonzero(chosen)} of 150 test images were measured: 40 drawn at random, on which "
        f"rules are counted, and {(chosen == sample.AS_ERROR).sum()} errors besides."
    ]


def test_rules_of_a_large_set_are_counted_on_what_was_drawn(sets, material, tmp_path, monkeypatch):
    monkeypatch.setattr(test_step, "WHOLE", 100)
    monkeypatch.setattr(sample, "DRAWN", 60)
    study = make(tmp_path / "study", material, sets["archives"]).evaluate()
    test, evaluation = study.split("test"), study.evaluation
    assert (np.asarray(test.measured)[study.errors] > 0).all()
    rules = evaluation["causes"]
    assert (np.asarray(rules["failures"]) <= len(study.errors)).all()
    for rate in zip(*(evaluation["rates"][name] for name in ("images", "images_outside"))):
        assert sum(rate) <= 60
    assert regions_of(study, study.causes.of_error).keys() <= set(np.asarray(rules["cause"]).tolist())
