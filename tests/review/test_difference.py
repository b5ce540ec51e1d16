"""Two studies held against each other: on which images, of which tasks, and what is refused."""

import json
import re
import shutil
from functools import cache

import numpy as np
import pytest

from hudd.errors import HuddError, UsageError
from hudd.report.difference import write_page
from hudd.review.difference import compare_studies
from hudd.study import Study

pytestmark = pytest.mark.slow

MODEL = """
import torch
from torch import nn
from hudd.data import Transform


def net(seed, outputs):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, outputs))


def {names}
"""
FACTORIES = {
    f"{name}{seed}": (seed, outputs)
    for seed in (1, 2)
    for name, outputs in (("three", 3), ("two", 2), ("one", 1))
}
CHOICES = {
    "classification": {"model": "three"},
    "multilabel": {"model": "two", "task": "multilabel", "targets": ("bar", "dot")},
    "regression": {"model": "one", "task": "regression", "targets": ("turn",), "threshold": "0.5"},
    "binary": {"model": "one", "task": "binary"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model file, and archives of images with labels and targets."""
    root = tmp_path_factory.mktemp("difference")
    code = [MODEL.partition("def {names}")[0]]
    for name, (seed, outputs) in FACTORIES.items():
        code.append(
            f"def {name}():\n    return net({seed}, {outputs})\n\n\n{name}.transform = Transform(grayscale=True)\n"
        )
    (root / "model.py").write_text("\n\n".join(code))
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 8, 8), np.uint8), rng.integers(0, 2, (60, 3))
    content = {"images": images, "bar": labels[:, 0], "dot": labels[:, 1], "turn": rng.normal(size=60)}
    classes = {"labels": rng.integers(3, size=60), "class_names": np.array(["ant", "bee", "cat"])}
    single = {"labels": labels[:, 2], "class_names": np.array(["no", "yes"])}

    def save(name, rows=slice(None), **own):
        arrays = {
            key: value if key == "class_names" else value[rows] for key, value in {**content, **own}.items()
        }
        np.savez(root / name, **arrays)

    for name, own in (
        ("classification", classes),
        ("multilabel", {}),
        ("regression", {}),
        ("binary", single),
    ):
        save(f"{name}.npz", **own)
    save("renamed.npz", **classes)
    save("part.npz", slice(20, 60), **classes)
    return root


@pytest.fixture(scope="module")
def _tested(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("tested")

    @cache
    def made(seed, task, data):
        own = dict(CHOICES[task])
        model, test = f"{folder / 'model.py'}:{own.pop('model')}{seed}", str(folder / f"{data}.npz")
        return Study.create(root / f"{data}-{seed}", model=model, test=test, **own).test().path

    return made


@pytest.fixture
def tested(_tested, tmp_path):
    """Returns a function that gives the study of the DNN with a seed, tested, the test's own copy."""

    def copied(seed, task="classification", data=None):
        path = _tested(seed, task, data or task)
        return Study.open(shutil.copytree(path, tmp_path / f"{path.name}-{len(list(tmp_path.iterdir()))}"))

    return copied


@pytest.fixture
def changed(tested):
    """Returns a function that gives the study of the DNN with a seed as if something in it had been otherwise."""

    def made(seed, change):
        study = tested(seed)
        with study.writing() as h5:
            change(h5)
        return study

    return made


def other_images(first):
    """As if the images from the first one on were others."""

    def change(h5):
        h5["splits/test/pixels"][first:] += np.uint64(1)

    return change


def other_order(h5):
    """As if the classes were in another order."""
    h5["class"][...] = h5["class"][...][::-1]
    for name in ("label", "prediction"):
        h5[f"splits/test/{name}"][...] = 2 - h5[f"splits/test/{name}"][...]


def other_class(h5):
    h5["class"][...] = ["ant", "bee", "dog"]


def other_labels(h5):
    h5["splits/test/label"][:7] = (h5["splits/test/label"][:7] + 1) % 3


def without_pixels(h5):
    del h5["splits/test/pixels"]


def threshold(limit):
    def change(h5):
        h5["splits/test"].attrs["facts"] = json.dumps({"thresholds": [limit, None]})

    return change


@pytest.mark.parametrize("task", CHOICES)
def test_errors_are_errors_whatever_the_task(tested, task):
    one, other = tested(1, task), tested(2, task)
    found = compare_studies(one, other)
    wrong = [~study.split("test").correct for study in (one, other)]
    assert found.test.change.images == 60
    assert (found.test.before, found.test.after) == tuple(each.sum() for each in wrong)
    assert found.test.change.fixed == (wrong[0] & ~wrong[1]).sum() > 0
    assert found.test.change.regressed == (wrong[1] & ~wrong[0]).sum() > 0
    paths = one.split("test").path
    assert found.to_dict()["fixed"] == [paths[row] for row in np.flatnonzero(wrong[0] & ~wrong[1])]
    assert found.notes() == [
        f"'{study.path}' has no causes yet; 'hudd run {study.path}' finds them." for study in (one, other)
    ]
    turned = compare_studies(other, one)
    assert turned.test.change.p_value == found.test.change.p_value
    assert turned.to_dict()["regressed"] == found.to_dict()["fixed"]


def test_images_are_found_again_by_their_pixels(tested):
    one, other = tested(1), tested(2, data="renamed")
    found = compare_studies(one, other)
    assert (len(found.pairing.rows), found.pairing.by_name, found.relabelled) == (60, 0, 0)
    assert found.test.to_dict() == compare_studies(one, tested(2)).test.to_dict()
    assert not any("share" in note for note in found.notes())


def test_classes_in_another_order_are_the_same(tested, changed):
    found = compare_studies(tested(1), changed(2, other_order))
    assert (len(found.pairing.rows), found.relabelled) == (60, 0)


def test_what_is_shared_is_compared(tested):
    one, other = tested(1), tested(2, data="part")
    found = compare_studies(one, other)
    assert found.pairing.rows.tolist() == list(range(20, 60))
    assert found.test.before == (~one.split("test").correct[20:]).sum()
    assert found.notes()[0] == (
        "the test sets differ (60 and 40 images); all that is told is of the 40 images that they share."
    )


def test_images_with_other_labels_are_left_out(tested, changed):
    found = compare_studies(tested(1), changed(1, other_labels))
    assert (found.relabelled, found.pairing.rows.tolist()) == (7, list(range(7, 60)))
    assert found.test.change.fixed == found.test.change.regressed == 0
    assert found.notes()[0] == "7 shared images have other labels now and are left out."


def test_without_hashes_images_are_paired_by_name_and_that_is_said(tested, changed):
    found = compare_studies(tested(1), changed(2, without_pixels))
    assert len(found.pairing.rows) == 60
    assert "paired by name alone" in found.notes()[0]


def test_a_tenth_of_the_smaller_set_is_enough_to_compare(tested, changed):
    assert len(compare_studies(tested(1), changed(2, other_images(6))).pairing.rows) == 6


SHARE = r"\(60 images\).*\(60\) share {} images; test both DNNs on the same ones: 'hudd run .* --test DATA'"
CLASSES = r"different classes or outputs \(only in the first: 'cat'; only in the second: 'dog'\)"
TASK = r"the task of .* is classification, that of .* is keypoints; give two studies of one task\."
THRESHOLD = r"an error counts from 0\.7 on, in .* from 0\.5; 'hudd run .* --threshold' with the numbers"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((other_images(0), None), SHARE.format(0)),
        ((None, other_images(5)), SHARE.format(5)),
        ((None, other_class), CLASSES),
        ((None, lambda h5: h5.attrs.update(task="keypoints")), TASK),
        ((threshold(0.7), threshold(0.5)), THRESHOLD),
    ],
    ids=["no image", "few images", "classes", "task", "threshold"],
)
def test_what_cannot_be_compared_is_refused(tested, changed, changes, message):
    pair = [changed(seed, change) if change else tested(seed) for seed, change in zip((1, 2), changes)]
    with pytest.raises(UsageError, match=message):
        compare_studies(*pair)


def test_a_study_is_not_compared_with_itself_or_with_one_that_is_not_tested(tested, folder, tmp_path):
    one = tested(1)
    (tmp_path / "link").symlink_to(one.path)
    for path in (one.path, tmp_path / "link"):
        with pytest.raises(UsageError, match=r"are the same study; give two"):
            compare_studies(one, Study.open(path))
    made = Study.create(
        tmp_path / "made", model=f"{folder / 'model.py'}:three2", test=str(folder / "classification.npz")
    )
    for pair in ((one, made), (made, one)):
        with pytest.raises(HuddError, match=r"has no splits/test yet; 'hudd test .*made' makes it\."):
            compare_studies(*pair)


def test_the_page_is_whole_escaped_and_nothing_is_replaced_unasked(tested, tmp_path):
    one, other = tested(1), tested(2)
    named = other.path.rename(tmp_path / "<b>after\u202e")
    page = write_page(compare_studies(one, Study.open(named)), tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;after\\u202e" in text
    assert "<b>after" not in text
    assert "\u202e" not in text
    assert not re.search(r"""(src|href)="(?!data:|#)""", text)
    with pytest.raises(UsageError, match=r"page\.html' exists; give `overwrite`"):
        write_page(compare_studies(one, Study.open(named)), page)
    again = write_page(compare_studies(one, Study.open(named)), page, overwrite=True)
    assert again.read_text(encoding="utf-8") == text
    for place, message in (
        ("page.pdf", "does not end in .html"),
        ("no/page.html", "a folder that does not exist"),
    ):
        with pytest.raises(UsageError, match=message):
            write_page(compare_studies(one, Study.open(named)), tmp_path / place)
    assert json.loads(json.dumps(compare_studies(one, Study.open(named)).to_dict()))
