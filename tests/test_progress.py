"""Bars are shown on a terminal only, and work within work shares one display."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console

from hudd import progress as module
from hudd.errors import UsageError
from hudd.progress import event, progress, show_as


def test_silence_where_nobody_looks_on(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("counting", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_work_within_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(module, "_watched", lambda: True)
    monkeypatch.setattr(
        module, "Console", lambda **_: Console(file=screen, force_terminal=True, width=120, color_system=None)
    )
    with progress("layers", 2, "layers") as outer:
        for _ in range(2):
            with progress("linkage", 5, "merges") as inner:
                inner(5)
                (bars,) = module._shown
                assert [task.description for task in bars.tasks] == ["layers", "linkage"]
                bars.refresh()
            outer(1)
        assert [(task.description, task.completed) for task in bars.tasks] == [("layers", 2)]
    assert not module._shown
    assert "layers" in screen.getvalue()
    assert "5/5" in screen.getvalue()


@pytest.fixture
def shown_as(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that goes on by what stands in the list, and progress as nobody has chosen it."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("HUDD_PROGRESS", raising=False)
    yield now
    monkeypatch.undo()
    show_as(None)


def test_plain_lines_every_thirty_seconds(shown_as: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    show_as("plain")
    with progress("heatmaps", 1000) as advance:
        for _ in range(9):
            shown_as[0] += 10
            advance(100)
        shown_as[0] += 10
        advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "hudd: heatmaps: 300 of 1,000 images in 30 s, 70 s left",
        "hudd: heatmaps: 600 of 1,000 images in 60 s, 40 s left",
        "hudd: heatmaps: 900 of 1,000 images in 90 s, 10 s left",
        "hudd: heatmaps: 1,000 of 1,000 images in 100 s",
    ]


def test_plain_lines_spare_short_work(shown_as: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    show_as("plain")
    with progress("heatmaps", 3) as advance:
        shown_as[0] += 29
        advance(3)
    event("step", step="test")
    assert capsys.readouterr() == ("", "")


def test_events_are_json_a_line(
    shown_as: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUDD_PROGRESS", "json")
    with progress("a\x1b[2Jb", 10, "tiles") as advance:
        for _ in range(5):
            shown_as[0] += 0.5
            advance(2)
    event("step", step="test", seconds=None)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each.get("done") for each in events] == [0, 4, 8, 10, None]
    assert events[0] == {
        "event": "progress", "what": "a\\x1b[2Jb", "done": 0, "total": 10, "unit": "tiles", "seconds": 0.0,
    }  # fmt: skip
    assert events[-1] == {"event": "step", "step": "test", "seconds": None}


def test_other_processes_are_silent(
    shown_as: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    show_as("json")
    with progress("heatmaps", 3) as advance:
        advance(3)
    event("step", step="test")
    assert capsys.readouterr() == ("", "")


def test_unknown_forms_are_refused(monkeypatch: pytest.MonkeyPatch, shown_as: list[float]) -> None:
    with pytest.raises(UsageError, match=r"progress is 'bars'; choose one of: auto, plain, json\."):
        show_as("bars")
    monkeypatch.setenv("HUDD_PROGRESS", "yes")
    with pytest.raises(UsageError, match="HUDD_PROGRESS is 'yes'"):
        show_as(None)
