"""What a study holds is opened without following links: no command writes, or reads, elsewhere."""

import os
import shutil

import pytest

from hudd.errors import HuddError
from hudd.store import check_inside, open_inside, read_inside, writer_lock
from hudd.store.inside import append_line

# Every name that hudd writes into a study, and folders on the way to some.
NAMES = (
    *("study.h5", ".lock", ".lock-held", "log.jsonl", "labels.csv", "review.json", "review.jsonl", "review"),
    *("shards", "shards/heatmaps", "shards/heatmaps/0f/000000.h5", "models", "models/hudd-0.safetensors"),
    *("models/hudd-0.checkpoint.part", "report", "report/index.html", "report/index-hudd-images"),
    *("report/index-hudd-images/1.webp", "export", "export/clusters.csv", "export/images/cluster-1"),
    *("comparison", "comparison/runs.csv", ".aside-1-0-study.h5"),
)


def file_link(place, outside):
    place.symlink_to(outside / "file")


def folder_link(place, outside):
    place.symlink_to(outside)


def link_to_nothing(place, outside):
    place.symlink_to(outside / "new")


def pipe(place, outside):
    os.mkfifo(place)


KINDS = (file_link, folder_link, link_to_nothing, pipe)


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("precious")
    return folder


def untouched(outside):
    return {path.name: path.read_text() for path in outside.iterdir()} == {"file": "precious"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_link_at_any_name_is_refused(tmp_path, outside, name, kind):
    place = tmp_path / "study" / name
    place.parent.mkdir(parents=True)
    check_inside(tmp_path / "study")
    kind(place, outside)
    with pytest.raises(HuddError, match=rf"{place}' is .*remove it"):
        check_inside(tmp_path / "study")


def test_what_is_the_user_s_own_may_be_a_link(tmp_path, outside):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "data").symlink_to(outside)
    (tmp_path / "study").symlink_to(tmp_path / "real")
    check_inside(tmp_path / "study")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "use",
    [
        lambda path: append_line(path, "text"),
        read_inside,
        lambda path: os.close(open_inside(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
        lambda path: writer_lock(path).__enter__(),
    ],
)
def test_nothing_is_opened_through_a_link(tmp_path, outside, kind, use):
    kind(tmp_path / "here", outside)
    with pytest.raises(HuddError, match="remove it"):
        use(tmp_path / "here")
    assert untouched(outside)


@pytest.mark.parametrize(
    "use", [lambda path: append_line(path, "text"), lambda path: writer_lock(path).__enter__()]
)
def test_a_second_name_of_a_file_is_not_written_to(tmp_path, outside, use):
    (tmp_path / "here").hardlink_to(outside / "file")
    with pytest.raises(HuddError, match=r"hard link.*put a copy in its place"):
        use(tmp_path / "here")
    assert untouched(outside)
    shutil.copy(tmp_path / "here", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "here")  # the remedy
    append_line(tmp_path / "here", "text")


def test_a_whole_line_at_a_time(tmp_path):
    for text in ("one", "two"):
        append_line(tmp_path / "log", text)
    assert read_inside(tmp_path / "log") == b"one\ntwo\n"
