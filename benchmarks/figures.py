"""Writes docs/performance.md from the records in benchmarks/results/, so that the page says what was measured.

python benchmarks/figures.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for title, name, text, tables in _SECTIONS:
        record = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        parts += [f"## {title}", text, _made(name, record), *tables(record)]
    return "\n\n".join(filter(None, parts)) + "\n"


_INTRODUCTION = """# Performance

Written by `python benchmarks/figures.py` from the records in `benchmarks/results/`. Each figure comes from a run in
which hudd and its peers took turns on one machine; the best turn counts. `hudd bench` measures the same on yours. Times
are seconds where nothing else is said. The load is the machine's average before the run: near 0, nobody else used it.

What was measured of the method itself is on other pages: [conservation by architecture](conservation.md),
[selection and retraining](selection-and-retraining.md), [exactness of distances](distances.md)."""


def _lrp(record: Mapping[str, Any]) -> Iterable[str]:
    rows = []
    for case in record["cases"]:
        seconds = case["seconds"]
        floor = seconds["gradient"]
        for name, value in seconds.items():
            rows.append((case["model"], case["batch"], name, _number(value), f"{value / floor:.2f}"))
    yield _table(("model", "batch", "", "seconds", "times the input gradient"), rows)


def _memory(record: Mapping[str, Any]) -> Iterable[str]:
    rows = []
    for case in record["cases"]:
        floor = case["memory"]["gradient"]["peak_mib"]
        for name, found in case["memory"].items():
            figures = found["peak_mib"], found["returned_mib"], f"{found['peak_mib'] / floor:.2f}"
            rows.append((case["model"], case["batch"], name, *figures))
    yield _table(
        ("model", "batch", "", "peak, MiB", "of them returned, MiB", "times the input gradient"), rows
    )


def _distances(record: Mapping[str, Any]) -> Iterable[str]:
    figures = record["speed"]["figures"]
    ratio = figures["ratio_to_hudd"]
    rows = [(name, _number(value), f"{ratio[name]:.2f}") for name, value in figures["seconds"].items()]
    yield f"{figures['rows']:,} rows of {figures['features']:,} numbers:"
    yield _table(("", "seconds", "times hudd"), rows)


def _clustering(record: Mapping[str, Any]) -> Iterable[str]:
    ward, cuts, large = (record[name]["figures"] for name in ("ward", "cuts", "large"))
    rows = [(name, _number(run["seconds"]), f"{run['peak_mib']:.0f}") for name, run in ward["runs"].items()]
    yield f"Ward's linkage of {ward['rows']:,} points:"
    yield _table(("", "seconds", "peak MiB"), rows)
    yield f"On the same number of points, all cuts from {cuts['ks'][0]} to {cuts['ks'][1]} clusters:"
    yield _table(("", "seconds"), [(name, _number(value)) for name, value in cuts["seconds"].items()])
    yield (
        f"{large['rows']:,} points of {large['features']} numbers: {large['seconds']['distances']:.0f} s for the "
        f"distances, {large['seconds']['linkage']:.0f} s for the linkage, {large['peak_rss_gib']:.1f} GiB."
    )


def _scale(record: Mapping[str, Any]) -> Iterable[str]:
    linkage = record["linkage"]["figures"]
    runs = linkage["runs"]
    numbers = sorted({int(run["rows"]) for found in runs.values() for run in found})
    yield f"Ward's linkage of rows of {linkage['features']} numbers, seconds / MiB above the rows:"
    rows = []
    for name, found in runs.items():
        at = {run["rows"]: f"{_number(run['seconds'])} / {run['peak_mib']:.0f}" for run in found}
        rows.append((name, *(at.get(n, "") for n in numbers)))
    yield _table(("", *(f"{n:,}" for n in numbers)), rows)
    yield "![time and memory against the number of rows](../benchmarks/results/scale.svg)"
    if "study" not in record:
        return
    study = record["study"]["figures"]
    yield (
        f"A study of {study['errors']:,} errors among {study['tested']:,} images of 28 pixels, linked from "
        f"{study['linked_from']}: {study['clusters']} clusters, {study['causes']} causes, {study['selected']:,} images "
        f"selected, a report of {study['report_mb']:.0f} MB, a study of {study['study_mb']:.0f} MB in all."
    )
    steps = [
        (name, f"{one['seconds']:.0f}", f"{one['peak_mib']:,.0f}") for name, one in study["steps"].items()
    ]
    yield _table(("step", "seconds", "peak MiB"), steps)


def _selection(record: Mapping[str, Any]) -> Iterable[str]:
    columns = ("images", "errors", "units", "seconds_distances", "seconds_selection", "peak_memory_mib")
    rows = [[f"{m[column]:,}" for column in columns] for m in record["measurements"]]
    heads = ("field images", "errors", "numbers each", "distances, s", "selection, s", "peak MiB")
    yield _table(heads, rows)


def _strategies(record: Mapping[str, Any]) -> Iterable[str]:
    columns = ("images", "labels", "seconds", "processor_seconds", "peak_memory_mib", "beyond_inputs_mib")
    rows = [[m["strategy"], *(f"{m[column]:,}" for column in columns)] for m in record["strategies"]]
    heads = (
        "strategy",
        "field images",
        "labels",
        "seconds",
        "of a processor",
        "peak MiB",
        "beyond inputs, MiB",
    )
    yield _table(heads, rows)


def _report(record: Mapping[str, Any]) -> Iterable[str]:
    sizes = record["sizes"]
    yield f"{sizes['errors']:,} errors in {sizes['clusters']} clusters:"
    yield _table(("", ""), [(name.replace("_", " "), value) for name, value in record["figures"].items()])


def _pages(record: Mapping[str, Any]) -> Iterable[str]:
    pages = record["pages"]
    heads = ("page", *(name.replace("_", " ") for name in next(iter(pages.values()))))
    yield _table(heads, [(page, *figures.values()) for page, figures in pages.items()])
    bounds = ", ".join(f"{name.replace('_', ' ')} {bound}" for name, bound in record["bounds"].items())
    yield f"What Lighthouse calls good, at most: {bounds}."


def _pipeline(record: Mapping[str, Any]) -> Iterable[str]:
    stages, long, processes = (record[name]["figures"] for name in ("stages", "long", "processes"))
    places = [name for name in ("disk", "memory") if name in stages]
    rates = [stages[name]["images_per_second"] for name in places]
    rows = [(stage, *(f"{rate[stage]:,.0f}" for rate in rates)) for stage in rates[0]]
    yield f"Images a second of each stage alone and together, {stages['images']:,} images:"
    yield _table(
        ("", *(f"study on a {name}" if name == "disk" else f"study in {name}" for name in places)), rows
    )
    disk = stages["disk"]
    yield (
        f"Stored over not stored: {disk['stored_over_not_stored']:.2f}. A shard goes to the disk at "
        f"{disk['bytes_per_second']['shards'] / 1e9:.1f} GB/s; through the page cache, flushed, the same bytes go at "
        f"{disk['bytes_per_second']['page cache'] / 1e9:.1f} GB/s."
    )
    yield (
        f"{long['errors']:,} errors: {long['seconds']:.0f} s, {long['images_per_second']:,.0f} images/s, "
        f"{long['bytes_an_image'] / 1000:.0f} kB per image, {long['peak_memory_mib']} MiB at most. Two processes of a "
        f"thread each take {processes['two_over_one']:.2f} of the time of one process with two threads, and write the "
        "same shards."
    )


def _whole(record: Mapping[str, Any]) -> Iterable[str]:
    summary = record["summary"]
    yield (
        f"{summary['test']['images']:,} test images, {summary['test']['errors']:,} errors, "
        f"{summary['improvement']['images']:,} field images: {record['seconds']} s from the test to the report, "
        f"{record['peak_memory_mib']:,} MiB at most, a study of {record['study_mib']} MiB. By step:"
    )
    steps: dict[str, float] = {}
    for name, seconds in record["steps"].items():
        step = name.partition("/")[0]
        steps[step] = steps.get(step, 0.0) + seconds
    yield _table(("step", "seconds"), [(name, f"{value:.1f}") for name, value in steps.items()])


_SECTIONS = (
    (
        "Relevance",
        "lrp",
        "Every layer of the network at once, compared with one forward and backward pass of autograd.",
        _lrp,
    ),
    (
        "Memory of relevance",
        "memory",
        "By how much one call raises a process's memory. Autograd returns the gradient of the input alone; "
        "`hudd ..., input` returns the relevance of the input alone too, the others with hudd's name the "
        "heatmaps of every layer.",
        _memory,
    ),
    (
        "Distances",
        "distances",
        "All pairs, float32, on the CPU. The floor is one symmetric matrix product.",
        _distances,
    ),
    ("Clustering", "clustering", "", _clustering),
    (
        "Scale",
        "scale",
        "Each contender in a process of its own, as far as time and memory allow; genieclust is another method.",
        _scale,
    ),
    ("Selection", "selection", "Field images against the members of the clusters.", _selection),
    (
        "Selection by each strategy",
        "selection_strategies",
        "Beyond the passes over the images and the distances above, for 2,000 errors. Memory is the process's peak, "
        "and what of it came after the inputs of the selection were there.",
        _strategies,
    ),
    (
        "The heatmap stage of a study",
        "pipeline",
        "Images of 45x45 on the network of examples/gtsrb, nearly all of them errors, every layer stored as float32.",
        _pipeline,
    ),
    ("The report", "report", "", _report),
    (
        "Pages in a browser",
        "pages",
        "The report and the label page of `hudd demo --case digits`, and the first page of this documentation, in "
        "Chromium on the same machine, with nothing cached or compressed.",
        _pages,
    ),
    ("A whole study", "gtsrb", "The traffic signs of examples/gtsrb.", _whole),
)


def _made(name: str, record: Mapping[str, Any]) -> str:
    machines = [record.get("machine"), *(p.get("machine") for p in record.values() if isinstance(p, Mapping))]
    machine = next(found for found in machines if found)
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items() if version)
    return (
        f"*{record['date']}; {machine['cores']} cores of {machine['processor']}, load {machine['load_before']:.1f}; "
        f"{versions}; [record](../benchmarks/results/{name}.json).*"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _number(value: float) -> str:
    return f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
