"""Bars are shown on a terminal only, and work within work shares one display."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hudd import progress as module
from hudd.progress import progress


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
