"""What the commands print: tables, figures, one line a step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hudd.errors import one_line
from hudd.progress import event
from hudd.text import clipped, printable, short_names, to_json
from hudd.text import in_line as in_line  # the commands import it from here

if TYPE_CHECKING:
    import pandas as pd

    from hudd.retraining import Comparison
    from hudd.study import Study

SPEAKS = os.environ.get("RANK", "0") == "0"  # of several processes under torchrun the first one does
console = Console(highlight=False, quiet=not SPEAKS)


def print_json(data: Any) -> None:
    """Print `data` as JSON, and nothing else."""
    if SPEAKS:
        print(to_json(data, indent=2, allow_nan=False, default=str).decode())


def print_table(title: str, frame: pd.DataFrame, *, most: int = 30) -> None:
    """Print a table, its first `most` rows, with shares next to what they are shares of."""
    table = Table(title=_printable(title), title_justify="left", title_style="bold", header_style="bold")
    cells: dict[str, list[str]] = {}
    share_of = {name: share for name, share in _SHARE_OF.items() if {name, share} <= set(frame.columns)}
    for name in frame.columns:
        if name in _LEFT_OUT and not frame[name].any():
            continue
        if name not in share_of.values():
            column = frame[name].head(most)
            if column.dtype == bool:  # of a flag that every row has, those that are set stand out
                column = column.where(column)
            cells[name] = ["" if none else _cell(value) for value, none in zip(column, column.isna())]
        if name in share_of:
            shares = frame[share_of[name]].head(most)
            cells[name] = [f"{cell} {share:.0%}" if cell else "" for cell, share in zip(cells[name], shares)]
    headers = {name: name.replace("_", " ") for name in cells}
    widths = {
        name: max(min(max(map(len, column), default=0), 16), *map(len, headers[name].split()))
        for name, column in cells.items()
    }
    shown = _fitting(widths, console.width)
    for name in shown:
        right = name not in share_of and frame[name].dtype.kind in "iuf"
        table.add_column(
            _printable(headers[name]),
            justify="right" if right else "left",
            overflow="fold",
            min_width=widths[name],
        )
    left_out = [headers[name] for name in cells if name not in shown]
    cells = {name: cells[name] for name in shown}
    for row in zip(*cells.values()):
        table.add_row(*map(_printable, row))
    console.print(table)
    if len(frame) > most:
        console.print(f"[dim]... and {len(frame) - most} more; 'hudd export' writes them all[/]")
    if left_out:
        console.print(f"[dim]too narrow for: {in_line(', '.join(left_out))}[/]")


def _fitting(widths: dict[str, int], space: int) -> list[str]:
    """Return the first columns that fit side by side, two at least; each takes three characters for its border."""
    shown = list(widths)
    while len(shown) > 2 and sum(widths[name] + 3 for name in shown) + 1 >= space:
        shown.pop()
    return shown


_LEFT_OUT = ("name", "severity")  # where nothing has one
_SHARE_OF = {"commonest": "share", "cause": "purity", "parameter": "variance_reduction"}


def print_selection(frame: pd.DataFrame, *, most: int = 10) -> None:
    """Print the first images of a selection, a line each, within 80 columns."""
    shown = frame.drop(columns=["rank", "outside"]).head(most).copy()
    shown.insert(0, "image", short_names([printable(path) for path in shown.pop("path")], 26))
    for name, width in {"cluster_name": 12, "prediction": 12, "label": 12}.items():
        if name in shown:
            shown[name] = [clipped(printable(value), width) for value in shown[name]]
    print_table("Unsafe set", shown)
    if len(frame) > most:
        console.print(f"[dim]... and {len(frame) - most} more; 'hudd export' writes them all[/]")


def print_pairs(title: str, pairs: dict[str, str]) -> None:
    """Print names and values."""
    table = Table(title=_printable(title), title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(_printable(name), _printable(value))
    console.print(table)


def run_step(study: Study, step: str) -> None:
    """Take one step and print a line that says what came of it."""
    from hudd.summary import cautions, describe

    before, started = study.marks(), time.perf_counter()
    study.run_step(step)
    seconds = None if study.marks() == before else time.perf_counter() - started
    doubts = cautions(study) if step == "test" else []
    print_step(step, describe(study, step), seconds, doubtful=bool(doubts))
    print_cautions(doubts)


def print_cautions(doubts: Sequence[str]) -> None:
    """Print what casts doubt on the error rate, a line each."""
    for doubt in doubts:
        console.print(f"[yellow]![/] {in_line(one_line(doubt))}", soft_wrap=True)


def print_step(step: str, text: str, seconds: float | None, *, doubtful: bool = False) -> None:
    """Print the line of a step: how long it took, or that it was up to date, and whether its result is in doubt."""
    event("step", step=step, result=printable(text), seconds=None if seconds is None else round(seconds, 3))
    done = "[yellow]![/]" if doubtful else "[green]✓[/]"
    mark, note = ("[dim]=[/]", "[dim]up to date[/]") if seconds is None else (done, f"{seconds:.1f} s")
    console.print(f"{mark} [bold]{step:<10}[/] {in_line(text)}  {note}", soft_wrap=True)


def write_report(study: Study) -> Path:
    """Write the report unless the one that is there is newer than study and review, and print its line."""
    page, started = study.path / "report" / "index.html", time.perf_counter()
    if _is_newer(page, study.file.path, *(study.path / name for name in ("review.jsonl", "review.json"))):
        print_step("report", str(page), None)
        return page
    from hudd.report import write_report as write

    page = write(study)
    print_step("report", str(page), time.perf_counter() - started)
    return page


def write_comparison(study: Study) -> None:
    """Write the files of the strategies' comparison, unless they are newer than the study, and print its line."""
    from hudd.study.strategy_comparison import write_comparison as write

    plot, started = study.path / "comparison" / "comparison.png", time.perf_counter()
    newer = _is_newer(plot, study.file.path)
    if not newer:
        write(study)
    print_step("comparison", str(plot.parent), None if newer else time.perf_counter() - started)


def print_verdicts(study: str, record: dict[str, Any]) -> None:
    """Print what became of each acceptance criterion, within 60 columns, and how it was counted."""
    table = Table(title=_printable(f"{study}: {record['about']}"), title_justify="left", title_style="bold")
    table.add_column("Criterion", overflow="fold", ratio=1)
    table.add_column("Failures", justify="right")
    table.add_column("Bound", justify="right")
    table.add_column("")
    for one in record["verdicts"]:
        named = [one["name"], *([one["text"]] if one["text"] != one["name"] else [])]
        told = _printable("\n".join([*named, *([one["reason"]] if one["reason"] else [])]))
        counts = f"{one['failures']:,}\nof {one['images']:,}"
        result = Text("pass", "green") if one["passed"] else Text("fail", "bold red")
        table.add_row(told, counts, f"{one['bound']:.3g}", result)
    console.print(table)
    passed = sum(one["passed"] for one in record["verdicts"])
    console.print(f"{passed} of {len(record['verdicts'])} criteria passed; bounds are {record['bound']}")
    if levels := record["severities"]:
        counted = ", ".join(f"{name or 'of no level'} {count:,}" for name, count in levels.items())
        console.print(f"failures by severity: {in_line(counted)}", soft_wrap=True)


def print_comparison(found: Comparison, frame: pd.DataFrame) -> None:
    """Print the table of a comparison of strategies, and what it is counted on."""
    from hudd.summary.judge import CHOSE

    runs = sum(run.strategy == found.reference for run in found.runs)
    chose = f"; {CHOSE}" if found.on == "test" else ""
    title = f"{found.on.capitalize()} accuracy, {found.runs[0].accuracy_before:.2%} before{chose}"
    print_table(f"{title}; means of {runs}, tests against {found.reference}", frame)


def _is_newer(made: Path, *sources: Path) -> bool:
    """Whether a file is there and no older than what it was made from; a source need not exist."""
    last = max((path.stat().st_mtime for path in sources if path.exists()), default=0)
    return made.exists() and made.stat().st_mtime >= last


def print_summary(study: Study, page: Path | None) -> None:
    """Print the figures that a run ends with."""
    from hudd.review.view import view
    from hudd.summary import headline

    print_pairs("Summary", headline(view(study)))
    if page is not None:
        console.print(f"Report: [bold]{in_line(page)}[/]", soft_wrap=True)


def quietly(work: Callable[[], Any], text: str) -> Any:
    """Do something that takes seconds under a spinner, where there is a terminal."""
    with Console(stderr=True, quiet=not SPEAKS).status(text):
        return work()


def _printable(text: str) -> Text:
    """Names of other people's files and classes as they are: no markup in them, nothing that steers the terminal."""
    return Text("\n".join(one_line(line) for line in text.split("\n")))


def _cell(value: Any) -> str:
    value = getattr(value, "item", lambda: value)()
    if isinstance(value, float):
        return f"{value:.4g}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
