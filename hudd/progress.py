"""Progress bars for long work: rate and time left on a terminal, silence elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

from hudd.text import in_line

_shown: list[Progress] = []


class _RateColumn(ProgressColumn):
    """Items per second, with the task's unit."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:,.1f} {unit}/s" if speed else f"- {unit}/s", style="progress.data.speed")


@contextmanager
def progress(description: str, total: int, unit: str = "images") -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the body runs, if that is a terminal.

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
    if not _watched():
        yield lambda n: None
        return
    description = in_line(description)
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
    if _watched():
        Console(stderr=True).print(f"[dim]{in_line(text)}[/]", soft_wrap=True)


def _watched() -> bool:
    """Whether someone looks on; of several processes under torchrun the first one speaks."""
    return sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
