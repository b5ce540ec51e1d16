"""labels.csv: nothing is lost in it, and any name comes back from it."""

import csv
import os
import warnings
from contextlib import contextmanager, suppress

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from hudd.cells import to_csv
from hudd.errors import HuddError, UsageError
from hudd.review.labelling import Labels
from hudd.review.review import EditConflict
from hudd.selection import import_labels
from hudd.study.labels import import_labels as import_into

NAMES = ["=1+1", "'stop", "a\x1b[31m", "two\nlines", "\udc80half", "日本", "-", " spaced "]


@pytest.fixture
def study(make_study):
    study = make_study(names=list(NAMES), prefix="=cmd|'\x1b\udcff\n,\"")
    study.path.mkdir()
    study.labels[:] = -1
    return study


@pytest.fixture
def plain(make_study):
    study = make_study()
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


@pytest.mark.parametrize(
    ("before", "given", "then", "now", "taken"),
    [
        (-1, 2, -1, 2, True),  # nobody else has labelled it
        (-1, 2, 2, 2, True),  # somebody else, alike
        (-1, 2, 1, 1, False),
        (0, 2, 0, 2, True),  # who gave it saw what it takes the place of
        (0, 2, 2, 2, True),
        (0, 2, 1, 1, False),
        (0, 2, -1, -1, False),
        (0, -1, 1, 1, True),  # taken back: the other's stays
    ],
)
def test_a_label_that_was_imported_since_is_not_replaced_unseen(plain, before, given, then, now, taken):
    plain.labels[0] = before
    Labels(plain).set(0, given, known=before)
    plain.labels[0] = then
    labels = Labels(plain)
    assert labels.of(0) == now
    labels.set(1, 1)
    if taken:
        assert labels.put_into_study() == 1 + (given >= 0 and given != then)
        return
    with pytest.raises(EditConflict, match=r"labels of 1 of these images .* nothing was put in") as told:
        labels.put_into_study()
    assert told.value.changes == {"labels": {"0": then}}
    assert not (plain.path / "study.h5").exists()
    with pytest.raises(EditConflict):
        labels.set(0, 0, known=given)  # seen before the import
    labels.set(0, 0, known=then)
    assert Labels(plain).put_into_study() == 2


def test_labels_of_an_earlier_selection_do_not_replace_imported_ones_either(plain):
    early = next(image for image in range(60) if image not in plain.selection.image)
    rows = [(plain.split("improvement").path[early], plain.class_names[1], "")]
    (plain.path / "labels.csv").write_bytes(to_csv(["path", "label", "replaces"], rows))
    plain.labels[early] = 2
    with pytest.raises(
        EditConflict, match=r"correct 'labels\.csv' for those of an earlier selection"
    ) as told:
        Labels(plain).put_into_study()
    assert told.value.changes == {"labels": {str(early): 2}}
    with pytest.raises(UsageError, match="not in the unsafe set"):
        Labels(plain).set(early, 1)
    plain.labels[early] = -1
    assert Labels(plain).put_into_study() == 1


def test_labels_without_what_they_replace_are_put_in_where_there_are_none(plain):
    plain.labels[2] = 1
    paths = plain.split("improvement").path
    rows = [(paths[image], plain.class_names[0]) for image in range(2)]
    (plain.path / "labels.csv").write_bytes(to_csv(["path", "label"], rows))
    assert [Labels(plain).of(image) for image in range(3)] == [0, 0, 1]
    plain.labels[1] = 2
    with pytest.raises(EditConflict):
        Labels(plain).put_into_study()


def test_nothing_is_imported_into_a_study_that_changes(plain, monkeypatch):
    """What is known is read under the lock: else two imports at the same time would each drop the other's labels."""
    held = []

    @contextmanager
    def locked():
        held.append(True)
        yield
        held.pop()

    def reading(*arguments, **options):
        assert held
        return import_labels(*arguments, **options)

    plain.journal.locked = locked
    monkeypatch.setattr("hudd.selection.import_labels", reading)
    Labels(plain).set(0, 1)
    assert import_into(plain, plain.path / "labels.csv") == 1
    assert not held


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
