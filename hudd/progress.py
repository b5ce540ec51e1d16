"""How far work has come: bars on a terminal, lines for a log, or events for a program; else silence."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from hudd.errors import UsageError
from hudd.text import in_line, printable

FORMS = ("auto", "plain", "json")
_EVERY = {"plain": 30.0, "json": 1.0}  # seconds between two lines of one piece of work
_chosen: list[str] = []
_shown: list[Progress] = []


def show_as(form: str | None) -> None:
    """Choose how progress is shown: "auto", a bar where somebody looks on; "plain", lines; or "json", events.

    Where that is None, as it is at first, the environment variable ``HUDD_PROGRESS`` says it.

    Raises
    ------
    UsageError
        If there is no such form.
    """
    _chosen[:] = [] if form is None else [_checked(form, "progress")]
    _form()


def _form() -> str:
    return _chosen[0] if _chosen else _checked(os.environ.get("HUDD_PROGRESS") or "auto", "HUDD_PROGRESS")


def _checked(form: str, what: str) -> str:
    if form not in FORMS:
        raise UsageError(f"{what} is '{form}'; choose one of: {', '.join(FORMS)}.")
    return form


@contextmanager
def progress(description: str, total: int, unit: str = "images") -> Iterator[Callable[[int], None]]:
    """Show on standard error how far the body has come, in the form that was chosen, see :func:`show_as`.

    Parameters
    ----------
    description : str
        What is being done, a few words.
    total : int
        Number of units in all.
    unit : str
        Name of the unit, in the plural.

    Yields
    ------
    callable
        ``advance(n)``: call it when ``n`` more units are done.
    """
    form = _form()
    if form == "auto" and _watched():
        with _bar(in_line(description), total, unit) as advance:
            yield advance
    elif form == "auto" or not _speaks():
        yield lambda n: None
    else:
        lines = _Lines(form, printable(description), total, unit)
        yield lines.advance
        lines.end()


def event(name: str, **facts: Any) -> None:
    """Tell that something has happened, where progress is told as events."""
    if _form() == "json" and _speaks():
        print(json.dumps({"event": name, **facts}), file=sys.stderr, flush=True)


class _Lines:
    """Lines about one piece of work, one in so many seconds."""

    def __init__(self, form: str, what: str, total: int, unit: str) -> None:
        self._form, self._what, self._total, self._unit = form, what, total, unit
        self._done, self._told = 0, False
        self._started = self._last = time.monotonic()
        if form == "json":
            self._tell()

    def advance(self, count: int) -> None:
        """Count units that are done, and tell it when it is time."""
        self._done += count
        if time.monotonic() - self._last >= _EVERY[self._form]:
            self._tell()

    def end(self) -> None:
        """Tell the end; in plain lines, only of work that was told of before."""
        if self._form == "json" or self._told:
            self._tell()

    def _tell(self) -> None:
        self._last, self._told = time.monotonic(), True
        seconds = self._last - self._started
        if self._form == "json":
            facts = {"what": self._what, "done": self._done, "total": self._total, "unit": self._unit}
            event("progress", **facts, seconds=round(seconds, 3))
            return
        missing = self._total - self._done
        left = f", {seconds / self._done * missing:.0f} s left" if self._done and missing > 0 else ""
        told = f"{self._what}: {self._done:,} of {self._total:,} {self._unit} in {seconds:.0f} s{left}"
        print(f"hudd: {told}", file=sys.stderr, flush=True)


class _RateColumn(ProgressColumn):
    """Items per second, with the task's unit."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:,.1f} {unit}/s" if speed else f"- {unit}/s", style="progress.data.speed")


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    if _shown:  # work within work: a line more in the display that is up, for as long as it lasts
        bars = _shown[-1]
        task = bars.add_task(description, total=total, unit=unit)
        try:
            yield lambda n: bars.advance(task, n)
        finally:
            bars.remove_task(task)
        return
    with Progress(*columns, console=Console(stderr=True)) as bars:
        _shown.append(bars)
        task = bars.add_task(description, total=total, unit=unit)
        try:
            yield lambda n: bars.advance(task, n)
        finally:
            _shown.remove(bars)


def note(text: str) -> None:
    """Tell something on standard error, if that is a terminal."""
    if _watched() and _form() == "auto":
        Console(stderr=True).print(f"[dim]{in_line(text)}[/]", soft_wrap=True)


def _watched() -> bool:
    """Whether someone looks on."""
    return sys.stderr.isatty() and _speaks()


def _speaks() -> bool:
    """Of several processes under torchrun the first one speaks."""
    return os.environ.get("RANK", "0") == "0"
