"""How good heatmaps are: faithful by patch flipping, in the right place, stable, and dependent on the weights.

The protocol is in docs/heatmap-quality.md. What is in the record already is kept: a run that is cut off goes on where
it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
sys.path.insert(2, str(Path(__file__).resolve().parents[1] / "causes"))

import harness
from cells import MEASURES, OUTPUTS, ROLES, cell
from families import NETWORKS, ROOT, lacking
from tables import plot, sections

PAGE = ROOT / "docs" / "heatmap-quality.md"
BEGIN, END = "<!-- figures, written by benchmarks/heatmaps -->", "<!-- end of figures -->"
Cell = tuple[str, str, str]  # measure, network, role


def main() -> None:
    """Measure what is not in the record; write record, figure and page."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "heatmap-quality")
    options.set_defaults(repeats=1)
    options.add_argument("--measure", action="append", choices=MEASURES, help="by default all")
    options.add_argument(
        "--network", action="append", choices=NETWORKS, help="by default all that can be had"
    )
    options.add_argument(
        "--role", action="append", choices=ROLES, help="images of patch flipping; by default both"
    )
    options.add_argument("--images", type=int, help="images a family; by default as the protocol says")
    options.add_argument(
        "--workers", type=int, default=1, help="families at a time, each with one thread if several"
    )
    options.add_argument("--cache", type=Path, help="where trained networks are kept for the next run")
    options.add_argument("--page", action="store_true", help="only write the tables of docs/ again")
    chosen = harness.parse(options, network=["digits"], images=20)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    if not chosen.page:
        record |= {
            "machine": harness.machine(),
            "versions": harness.versions("torch", "captum", "scipy", "mlxtend", "hudd"),
            "repeats": chosen.repeats,
        }
        harness.left_out(record["versions"])
        measures = record.setdefault("measures", {})
        wanted = _wanted(chosen.measure or MEASURES, chosen.network or NETWORKS, chosen.role or ROLES)
        missing = [each for each in wanted if _family(each) not in measures.get(each[0], {})]
        with tempfile.TemporaryDirectory() as aside:
            for each, found in _found(missing, chosen.images, chosen.cache or Path(aside), chosen.workers):
                measures.setdefault(each[0], {})[_family(each)] = found
                _print(each, found)
                harness.write(chosen.out, record)
    if chosen.out.parent == harness.RESULTS and PAGE.exists():
        _illustrate(record["measures"], chosen.out.with_suffix(".svg"))


def _wanted(measures: Sequence[str], networks: Sequence[str], roles: Sequence[str]) -> list[Cell]:
    """What is to be measured, failing images first; only patch flipping is measured on others."""
    every = [(measure, name, role) for role in ROLES for measure in measures for name in networks]
    for name in networks:
        if missing := lacking(name):
            print(f"{name}: left out, for there is no {', no '.join(missing)}")
    return [
        (measure, name, role)
        for measure, name, role in every
        if not lacking(name) and (role in roles if measure == "flipping" else role == "failing")
    ]


def _family(each: Cell) -> str:
    measure, name, role = each
    return f"{name}, {role}" if measure == "flipping" else name


def _found(
    cells: Sequence[Cell], count: int | None, cache: Path, workers: int
) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Each with its figures, in the order in which they are done."""
    if workers == 1:
        for each in cells:
            yield each, cell(*each, count, cache)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(cell, *each, count, cache, threads=1): each for each in cells}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _print(each: Cell, found: dict[str, Any]) -> None:
    shown: dict[str, list[float | str]] = {}
    for row in found["rows"]:
        figures = {key: value for key, value in row.items() if key != "explanation"}
        cells = [value["confirming"] if isinstance(value, dict) else value for value in figures.values()]
        shown[row["explanation"]] = cells
    columns = [f"gain of the {key}" if key in OUTPUTS else key for key in figures]
    harness.table(
        f"{each[0]}, {_family(each)}: {found['images']} images, {found['seconds']} s", columns, shown
    )


def _illustrate(measures: dict[str, Any], picture: Path) -> None:
    """Write the figure and the page's tables."""
    flipped = measures.get("flipping", {})
    if failing := {name: found for name, found in flipped.items() if name.endswith("failing")}:
        plot(failing, picture)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{sections(measures)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
