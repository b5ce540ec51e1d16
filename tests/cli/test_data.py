"""Data as people have them: names of classes, shared images, images that cannot be decoded."""

import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from hudd.cli import call
from hudd.data import open_source

pytestmark = pytest.mark.slow

MODEL = """
import torch
from torch import nn

def net(outputs=3):
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(features, nn.Linear(6, outputs))

def ten():
    return net(10)

def named():
    return net(3)

named.class_names = ["001", "002", "003"]


def grey():
    found = net()
    found[0][0] = nn.Conv2d(1, 6, 3)
    return found
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def images(root, classes, count=4, seed=0):
    rng = np.random.default_rng(seed)
    for name in classes:
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / f"{number}.png")


def labels_of(study):
    with h5py.File(study / "study.h5") as h5:
        return h5["splits/test/label"][:].tolist()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["path{}label", "path{} label", "path{}Label"])
def test_names_of_digits_are_names_in_a_manifest(place, separator, header):
    images(place / "test", ("001", "002"))
    rows = [f"test/{c}/{n}.png{separator}{c}" for c in ("001", "002") for n in range(4)]
    (place / "test.csv").write_text("\n".join([header.format(separator), *rows]) + "\n")
    assert call(["test", "study", "--model", "model.py:named", "--test", "test.csv"]) == 0
    assert labels_of(place / "study") == [0] * 4 + [1] * 4


def test_backslashes_lead_to_the_same_files(place):
    images(place / "test", ("001", "002"))
    rows = [f"test\\{c}\\{n}.png,{c}" for c in ("001", "002") for n in range(4)]
    (place / "test.csv").write_text("path,label\n" + "\n".join(rows))
    assert call(["test", "study", "--model", "model.py:named", "--test", "test.csv"]) == 0
    assert labels_of(place / "study") == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("classes", "model"), [(("ant", "bee", "cat"), "ten"), (("ant",), "net"), (("a", "b", "c", "d"), "net")]
)
def test_another_number_of_names_than_outputs_is_refused(place, capfd, classes, model):
    images(place / "test", classes)
    assert call(["test", "study", "--model", f"model.py:{model}", "--test", "test"]) == 2
    assert "--classes" in (said := capfd.readouterr().err)
    assert str(len(classes)) in said
    assert not (place / "study").exists()


@pytest.mark.parametrize("form", ["list", "text", "json"])
def test_the_names_in_order_are_the_remedy(place, form):
    images(place / "test", ("cat", "bee"))
    names = ["cat", "ant", "bee"]
    given = ",".join(names)
    if form != "list":
        given = f"names.{'txt' if form == 'text' else 'json'}"
        (place / given).write_text("\n".join(names) if form == "text" else json.dumps(names))
    assert call(["test", "study", "--model", "model.py:net", "--test", "test", "--classes", given]) == 0
    assert labels_of(place / "study") == [2] * 4 + [0] * 4  # folders are read in the order of their names


@pytest.mark.parametrize(
    "beside", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", ".Trash-0", "lost+found", "$RECYCLE.BIN"]
)
def test_what_file_managers_leave_behind_is_no_class(place, beside):
    images(place / "test", ("ant", "bee", "cat"))
    for folder in (place / "test" / beside / "ant", place / "test" / "ant" / beside):
        folder.mkdir(parents=True)
        shutil.copy(place / "test" / "ant" / "0.png", folder / "thumb.png")
    assert call(["test", "study", "--model", "model.py:net", "--test", "test"]) == 0
    assert labels_of(place / "study") == [0] * 4 + [1] * 4 + [2] * 4


def test_a_folder_one_level_too_high_is_refused(place, capfd):
    images(place / "data" / "test", ("ant", "bee", "cat"))
    images(place / "data" / "train", ("ant", "bee", "cat"), seed=1)
    assert call(["test", "study", "--model", "model.py:net", "--test", "data"]) == 2
    assert "data/test" in capfd.readouterr().err


def test_the_mapping_that_was_taken_is_shown(place, capfd):
    images(place / "test", ("ant", "bee", "cat"))
    assert call(["test", "study", "--model", "model.py:net", "--test", "test"]) == 0
    capfd.readouterr()
    assert call(["show", "study"]) == 0
    said = capfd.readouterr().out
    assert all(name in said for name in ("Classes", "ant", "bee", "cat"))


def test_weights_that_were_never_given_are_told(place, capfd):
    images(place / "test", ("ant", "bee", "cat"))
    assert call(["test", "study", "--model", "model.py:net", "--test", "test"]) == 0
    said = capfd.readouterr().out
    assert "weights" in said
    assert "✓ test" not in said


RUN = ["--model", "model.py:net", "--test", "test"]


def test_test_images_in_the_training_set_are_refused_until_allowed(place, capfd):
    images(place / "test", ("ant", "bee", "cat"))
    images(place / "train", ("ant", "bee", "cat"), seed=1)
    shutil.copy(place / "test/ant/0.png", place / "train/ant/other-name.png")
    assert call(["test", "study", *RUN, "--train", "train"]) == 2
    assert "--allow-overlap" in (said := capfd.readouterr().err)
    assert "holds 1 of the 12 test images" in said
    assert call(["test", "study", "--allow-overlap"]) == 0
    capfd.readouterr()
    assert call(["show", "study", "--json"]) == 0
    assert "pixel by pixel" in json.dumps(json.loads(capfd.readouterr().out))


def test_another_encoding_of_the_same_pixels_is_the_same_image(place, capfd):
    images(place / "test", ("ant", "bee", "cat"))
    images(place / "field", ("ant", "bee", "cat"), seed=1)
    Image.open(place / "test/bee/1.png").save(place / "field/bee/copy.bmp")
    assert call(["test", "study", *RUN, "--improvement", "field"]) == 2
    assert "improvement" in capfd.readouterr().err


def test_copies_with_other_labels_are_refused_until_allowed(place, capfd):
    images(place / "test", ("ant", "bee", "cat"))
    shutil.copy(place / "test/ant/0.png", place / "test/bee/copy.png")
    assert call(["test", "study", *RUN]) == 2
    assert "copies with other labels" in capfd.readouterr().err
    assert call(["test", "study", "--allow-overlap"]) == 0


@pytest.mark.parametrize(
    "spelling", ["./test/ant/0.png", "test//ant/0.png", "test/bee/../ant/0.png", "link.png"]
)
def test_one_file_under_two_names_is_refused(place, capfd, spelling):
    images(place / "test", ("ant", "bee", "cat"))
    (place / "link.png").symlink_to(place / "test/ant/0.png")
    rows = [f"test/{c}/{n}.png,{c}" for c in ("ant", "bee", "cat") for n in range(4)]
    (place / "test.csv").write_text("path,label\n" + "\n".join([*rows, f"{spelling},bee"]))
    assert call(["test", "study", "--model", "model.py:net", "--test", "test.csv"]) == 2
    assert "once more" in capfd.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_all_images_that_cannot_be_decoded_are_named_and_may_be_left_out(place, capfd, damage):
    images(place / "test", ("ant", "bee", "cat"))
    bad = ["test/ant/1.png", "test/bee/0.png", "test/cat/2.png"]
    for name in bad:
        content = {"cut": (place / name).read_bytes()[:200], "empty": b"", "text": b"no image"}[damage]
        (place / name).write_bytes(content)
    assert call(["test", "study", *RUN]) == 2
    said = capfd.readouterr().err
    assert all(name in said for name in bad)
    assert "--skip-bad" in said
    assert call(["test", "study", *RUN, "--skip-bad"]) == 0
    with h5py.File(place / "study" / "study.h5") as h5:
        assert len(h5["splits/test/label"]) == 9
        reading = json.loads(h5["splits/test/reading"].asstr()[()])
    assert sorted(path for path, _ in reading["skipped"]) == [name.removeprefix("test/") for name in bad]


def test_exif_orientation_is_applied_when_asked_for(place):
    images(place / "test", ("ant", "bee", "cat"))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image = Image.open(place / "test/ant/0.png")
    image.save(place / "test/ant/0.png", exif=exif)
    plain = open_source(place / "test").pixels(0)
    turned = open_source(place / "test", exif_orient=True).pixels(0)
    assert (np.asarray(plain) == np.asarray(image)).all()
    assert (np.asarray(turned) == np.rot90(np.asarray(image), -1)).all()


@pytest.mark.parametrize("names", [("001", "002", "003"), ("1", "2", "3"), ("2", "0", "1"), ("10", "9", "8")])
@pytest.mark.parametrize("form", ["folder", "manifest", "archive"])
def test_names_of_digits_are_the_classes_whatever_the_form_of_the_data(place, names, form):
    images(place / "test", sorted(names))
    rows = [(f"test/{name}/{number}.png", name) for name in sorted(names) for number in range(4)]
    data = "test"
    if form == "manifest":
        data = "test.csv"
        (place / data).write_text("path,label\n" + "".join(f"{path},{name}\n" for path, name in rows))
    elif form == "archive":
        data = "test.npz"
        pictures = np.stack([np.asarray(Image.open(place / path)) for path, _ in rows])
        own = sorted(names)
        np.savez(place / data, images=pictures, labels=[own.index(name) for _, name in rows], class_names=own)
    given = ["--model", "model.py:net", "--test", data, "--classes", ",".join(names)]
    assert call(["test", "study", *given]) == 0
    assert labels_of(place / "study") == [names.index(name) for _, name in rows]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_grey_net_on_colour_files_is_told_the_option_that_helps(place, capfd, mode):
    images(place / "test", ("ant", "bee", "cat"))
    for path in (place / "test").rglob("*.png"):
        Image.open(path).convert(mode).save(path)
    given = ["--model", "model.py:grey", "--test", "test"]
    assert call(["test", "study", *given]) == 2
    assert "--gray" in capfd.readouterr().err
    assert call(["test", "study", *given, "--gray"]) == 0
