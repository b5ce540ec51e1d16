"""labels.csv: nothing is lost in it, and any name comes back from it."""

import csv
import os
import warnings
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from hudd.errors import HuddError, UsageError
from hudd.review.labelling import Labels
from hudd.review.review import EditConflict
from hudd.selection import import_labels

NAMES = ["=1+1", "'stop", "a\x1b[31m", "two\nlines", "\udc80half", "日本", "-", " spaced "]


@pytest.fixture
def study(make_study):
    study = make_study(names=list(NAMES), prefix="=cmd|'\x1b\udcff\n,\"")
    study.path.mkdir()
    study.labels[:] = -1
    return study


def test_any_name_is_kept_and_read_again(study):
    labels, paths = Labels(study), study.split("improvement").path
    for number in range(len(NAMES)):
        labels.set(number, number)
    assert [Labels(study).of(number) for number in range(len(NAMES))] == list(range(len(NAMES)))
    assert import_labels(labels.file, paths, study.class_names)[: len(NAMES)].tolist() == list(
        range(len(NAMES))
    )
    content = labels.file.read_bytes()
    assert not [byte for byte in content if byte < 32 and byte not in b"\r\n"]
    with labels.file.open(newline="", encoding="utf-8") as stream:
        assert not [cell for row in csv.reader(stream) for cell in row if cell[:1] in "=+-@" and cell]
    labels.set(3, -1)
    assert len(labels.file.read_bytes().splitlines()) == 1 + len(NAMES)
    assert Labels(study).of(3) == -1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(-1, 7)), max_size=12))
def test_two_readers_merge_or_are_told(study, edits):
    """Each knows what it has read; a change of what the other has changed meanwhile is told, all others are kept."""
    (study.path / "labels.csv").unlink(missing_ok=True)
    pair, truth = (Labels(study), Labels(study)), [-1] * 4
    known = [list(truth), list(truth)]
    for second, image, label in edits:
        expected = known[second][image]
        if truth[image] in (expected, label):
            pair[second].set(image, label, known=expected)
            truth[image] = label
        else:
            with pytest.raises(EditConflict, match="was labelled by others meanwhile: it ") as told:
                pair[second].set(image, label, known=expected)
            assert told.value.changes == {"label": truth[image]}
        known[second][image] = truth[image]
        assert [Labels(study).of(image) for image in range(4)] == truth


def test_three_processes_lose_nothing(study):
    labels, images = Labels(study), range(12)
    children = []
    for number in range(3):
        with warnings.catch_warnings(action="ignore"):  # the child uses no thread
            child = os.fork()
        if child == 0:
            with suppress(BaseException):
                for image in images[number::3]:
                    for label in (0, 1, image % 8):
                        labels.set(image, label)
                os._exit(0)
            os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    labels.refresh()
    assert [labels.of(image) for image in images] == [image % 8 for image in images]


@pytest.mark.parametrize("label", [8, -2, True, 1.0, "1", None, [1]])
def test_wrong_classes_are_refused(study, label):
    labels = Labels(study)
    with pytest.raises(UsageError, match="does not exist; give 0 to 7, or -1"):
        labels.set(0, label)
    if label is not None:
        with pytest.raises(UsageError, match="does not exist; give 0 to 7, or -1"):
            labels.set(0, 1, known=label)
    assert not labels.file.exists()


@pytest.mark.parametrize(
    "content", ["a,b\n", "path,label,label\na,b,c\n", "path\na\n", 'path,label\na,"b\n' + "x" * 200_000]
)
def test_a_file_that_is_none_of_these_is_kept(study, content):
    labels = Labels(study)
    labels.file.write_text(content)
    with pytest.raises(HuddError, match=r"labels\.csv' cannot be read .*; fix it or move it away"):
        labels.set(0, 1)
    assert labels.file.read_text() == content


@pytest.mark.parametrize("name", ["labels.csv", ".lock-labels"])
def test_links_are_not_followed(study, tmp_path, name):
    labels, other = Labels(study), tmp_path / "other"
    other.write_text("path,label\n")
    (study.path / name).symlink_to(other)
    with pytest.raises(HuddError, match="is a link"):
        labels.set(0, 1)
    assert other.read_text() == "path,label\n"
