"""Files written aside: whole or absent, spared while their writer lives, swept when it was killed."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from hudd.store import aside as asides
from hudd.store import sweep
from hudd.store.aside import reserve, whole_folder
from hudd.store.files import write_whole

WRITER = """
import signal, sys
from pathlib import Path
from hudd.store import aside as asides
from hudd.store.aside import reserve, whole_folder

aside, handle = reserve(Path(sys.argv[1]) / "table.csv", folder=sys.argv[2] == "folder")
if sys.argv[2] == "folder":
    (aside / "half.csv").write_text("half")
print(aside, flush=True)
signal.pause()
"""


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_living_process_writes_is_spared(tmp_path, kind):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), kind], stdout=subprocess.PIPE, text=True
    )
    aside = tmp_path / writer.stdout.readline().strip()
    sweep(tmp_path)
    assert aside.exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    sweep(tmp_path)
    assert not aside.exists()


def test_links_and_odd_files_aside_are_swept_and_what_they_lead_to_is_not(tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    (tmp_path / ".aside-1-0-link").symlink_to(tmp_path / "own.txt")
    (tmp_path / ".aside-1-0-dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / ".aside-1-0-fifo")
    (tmp_path / ".aside-1-0-folder").mkdir()
    (tmp_path / ".aside-1-0-folder" / "link").symlink_to(tmp_path)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]
    assert (tmp_path / "own.txt").read_text() == "mine"


@pytest.mark.timing
def test_a_file_written_again_and_again_is_whole_while_others_sweep(tmp_path):
    """Writers in several threads and sweepers in between: no write fails, and none leaves a piece."""
    path, ended, failed = tmp_path / "review", threading.Event(), []
    contents = [bytes([65 + n]) * 5_000 for n in range(3)]

    def write(content):
        try:
            for _ in range(40):
                write_whole(path, content)
                assert path.read_bytes() in contents
        except Exception as error:
            failed.append(error)

    def keep_sweeping():
        while not ended.is_set():
            sweep(tmp_path)

    sweeper = threading.Thread(target=keep_sweeping)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in (sweeper, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    sweeper.join()
    assert not failed
    assert [one.name for one in tmp_path.iterdir()] == ["review"]


def test_names_aside_are_of_one_writer_each(tmp_path):
    found = [reserve(tmp_path / "table.csv") for _ in range(3)]
    assert len({aside for aside, _ in found}) == 3
    for _, handle in found:
        os.close(handle)
    sweep(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:  # a file system, or a C library, that cannot exchange names
        monkeypatch.setattr(asides.ctypes, "CDLL", lambda *arguments, **options: object())
    folder = tmp_path / "export"
    for content in ("old", "new"):
        with whole_folder(folder) as aside:
            (aside / content).mkdir()
            (aside / content / "file").write_text(content)
        assert [path.name for path in folder.iterdir()] == [content]
    with pytest.raises(FileNotFoundError), whole_folder(folder) as aside:
        (aside / "half" / "file").write_text("")

    def refuse():
        raise PermissionError("it holds something else")

    with pytest.raises(PermissionError), whole_folder(folder, refuse) as aside:
        (aside / "other").write_text("")
    assert (folder / "new" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_folder_whose_writer_was_killed_is_swept_by_the_next(tmp_path):
    (tmp_path / ".aside-1-0-export").mkdir()
    (tmp_path / ".aside-1-0-export" / "half").write_text("")
    (tmp_path / ".aside-1-0-other-export2").mkdir()
    with whole_folder(tmp_path / "export") as aside:
        (aside / "file").write_text("")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aside-1-0-other-export2", "export"]
