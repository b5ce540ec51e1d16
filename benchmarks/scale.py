"""Ward's method against the number of rows: time and memory of ours by rows and by matrix, and of peers; a large study.

Rows are simulated, in overlapping groups, twice as many each time, up to what the machine holds or ``--largest``. Each
contender works in a process of its own, and is left out from the size on at which it would take longer than
``--limit`` or more than half of the memory. genieclust is another method, on the same rows; cuML has single linkage
alone. The study is of synthetic images, clustered and reported as by default.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import harness
import numpy as np
from torch import nn

import hudd
from hudd.data import Transform
from hudd.memory import memory_bytes

PARTS = ("linkage", "study")
GROUPS = 40
FIRST = 1000
FAULTS = ("none", "dark", "bright", "noise", "corner", "stripes", "inverted", "flat")
STEPS = ("test", "heatmaps", "distances", "cluster", "evaluate", "select")


class Contender(NamedTuple):
    """What clusters rows; `pair_bytes` of memory for each pair of them, `number_bytes` for each number."""

    package: str
    run: Callable[[np.ndarray], Any]
    pair_bytes: float = 0.0
    number_bytes: float = 40.0


def _sklearn(x: np.ndarray) -> Any:
    from sklearn.cluster import AgglomerativeClustering

    return AgglomerativeClustering(GROUPS, compute_distances=True).fit(x)


def _fastcluster(x: np.ndarray) -> Any:
    import fastcluster

    return fastcluster.linkage(x, "ward")


def _fastcluster_rows(x: np.ndarray) -> Any:
    import fastcluster

    return fastcluster.linkage_vector(x, "ward")


def _genieclust(x: np.ndarray) -> Any:
    import genieclust

    return genieclust.Genie(GROUPS).fit(x)


def _cuhc(x: np.ndarray) -> Any:
    import cuhc

    return cuhc.linkage(x, "ward")


def _cuml(x: np.ndarray) -> Any:
    from cuml.cluster import AgglomerativeClustering

    return AgglomerativeClustering(n_clusters=GROUPS, linkage="single").fit(x)


def _matrix(x: np.ndarray) -> Any:
    return hudd.linkage(hudd.pairwise_distances(x, condensed=True), overwrite=True)


CONTENDERS = {
    "hudd, rows": Contender("hudd", hudd.linkage_vectors),
    "hudd, matrix": Contender("hudd", _matrix, 4),
    "fastcluster": Contender("fastcluster", _fastcluster, 12),
    "fastcluster, rows": Contender("fastcluster", _fastcluster_rows),
    "scikit-learn": Contender("scikit-learn", _sklearn, 12),
    "genieclust": Contender("genieclust", _genieclust),
    "cuhc": Contender("cuhc", _cuhc),
    "cuML, single linkage": Contender("cuml", _cuml),
}
MODULES = {"scikit-learn": "sklearn"}


def rows(n: int, features: int) -> np.ndarray:
    """Rows in groups that overlap, (n, features) float32."""
    rng = np.random.default_rng(0)
    made = rng.standard_normal((n, features), dtype=np.float32)
    made += rng.standard_normal((GROUPS, features), dtype=np.float32)[rng.integers(0, GROUPS, n)]
    return made


def linkage(largest: int, features: int, limit: float) -> dict[str, Any]:
    """Time and peak memory of every contender by number of rows."""
    found: dict[str, list[dict[str, float]]] = {
        name: []
        for name, one in CONTENDERS.items()
        if importlib.util.find_spec(MODULES.get(one.package, one.package))
    }
    n, left = FIRST, set(found)
    while left and n <= largest:
        for name in list(found):
            one = CONTENDERS[name]
            needed = one.pair_bytes * n * (n - 1) / 2 + one.number_bytes * n * features
            expected = 4 * found[name][-1]["seconds"] if found[name] else 0.0
            if name not in left or expected > limit or needed > memory_bytes() / 2:
                left.discard(name)
                continue
            figures = harness.child(__file__, "linkage", name, n, features)
            found[name].append({"rows": n, **figures})
            print(
                f"{n:>9,} rows  {name:22} {figures['seconds']:9.2f} s {figures['peak_mib']:9.0f} MiB",
                flush=True,
            )
        n *= 2
    return {"features": features, "limit_seconds": limit, "runs": found}


def cluster_once(name: str, n: int, features: int) -> dict[str, float]:
    """Cluster rows once, with all compiled before; return seconds, and peak memory above what the rows take."""
    run = CONTENDERS[name].run
    run(rows(5000, 4))
    data = rows(n, features)
    before = harness.memory("VmRSS")
    harness.forget_peak()
    started = perf_counter()
    run(data)
    return {
        "seconds": perf_counter() - started,
        "peak_mib": max(harness.memory("VmHWM") - before, 0) / 2**20,
    }


def drawn(path: Path, record: dict[str, Any]) -> None:
    """Draw time and memory against the number of rows, both scales logarithmic, to an SVG file."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hudd"  # the same figures give the same file
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for name, runs in record["runs"].items():
        numbers = [run["rows"] for run in runs]
        style = (
            {"color": "#1f5fa8", "ls": "-" if "rows" in name else "--"}
            if name.startswith("hudd")
            else {"lw": 1}
        )
        for ax, column in zip(axes, ("seconds", "peak_mib")):
            ax.plot(numbers, [run[column] for run in runs], marker=".", label=name, **style)
    for ax, unit in zip(axes, ("seconds", "peak memory above the rows, MiB")):
        ax.set(xscale="log", yscale="log", xlabel=f"rows of {record['features']} numbers", ylabel=unit)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


# -- a study of many errors


def cnn() -> nn.Module:
    """A small network, its weights as they come."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


cnn.transform = Transform(grayscale=True)


def images(path: Path, count: int, seed: int, *, labelled: bool = True) -> None:
    """Write images of 28 pixels of ten patterns, most of them with a fault; labels are drawn, so most are errors."""
    patterns = np.random.default_rng(1).uniform(0.2, 0.8, (10, 7, 7)).repeat(4, 1).repeat(4, 2)
    rng = np.random.default_rng(seed)
    pattern, fault = rng.integers(0, 10, count), rng.integers(0, len(FAULTS), count)
    light = np.where(fault == 1, 0.25, np.where(fault == 2, 1.6, 1.0)) * rng.uniform(0.9, 1.1, count)
    made = np.empty((count, 28, 28), np.uint8)
    for first in range(0, count, 4096):
        part = slice(first, first + 4096)
        kind = fault[part]
        values = patterns[pattern[part]] * light[part, None, None]
        values += rng.standard_normal(values.shape) * np.where(kind == 3, 0.25, 0.03)[:, None, None]
        values[kind == 4, :12, :12] = 1.0
        values[kind == 5, ::3] = 0.0
        values[kind == 6] = 1 - values[kind == 6]
        values[kind == 7] = 0.5 + 0.1 * (values[kind == 7] - 0.5)
        made[part] = np.clip(255 * values, 0, 255)
    labels = rng.integers(0, 10, count) if labelled else np.full(count, -1)
    np.savez(path, images=made, labels=labels, cause=np.array(FAULTS)[fault], light=light)


def study(tested: int) -> dict[str, Any]:
    """Take a study of so many test images through its steps, in a process of its own."""
    found = harness.child(__file__, "study", tested)
    harness.table(
        f"A study of {found['errors']:,} errors",
        ("seconds", "peak MiB"),
        {name: (step["seconds"], step["peak_mib"]) for name, step in found["steps"].items()},
    )
    return found


def study_once(tested: int) -> dict[str, Any]:
    """Return the seconds and peak memory of every step, and the sizes of what it leaves."""
    from hudd.capture.loading import load_model
    from hudd.export import export
    from hudd.report import write_report
    from hudd.retraining import save_weights
    from hudd.study import Study

    steps: dict[str, dict[str, float]] = {}

    def measured(name: str, work: Callable[[], Any]) -> None:
        harness.forget_peak()
        started = perf_counter()
        work()
        steps[name] = {"seconds": perf_counter() - started, "peak_mib": harness.memory("VmHWM") / 2**20}
        print(f"{name}: {steps[name]}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(dir=os.environ.get("HUDD_BENCH_FOLDER")) as folder:
        home = Path(folder)
        images(home / "test.npz", tested, 0)
        images(home / "field.npz", tested // 5, 1, labelled=False)
        model = f"{Path(__file__).resolve()}:cnn"
        save_weights(load_model(model).module, home / "cnn.safetensors")
        made = Study.create(
            home / "study", model=model, weights=str(home / "cnn.safetensors"), test=str(home / "test.npz"),
            improvement=str(home / "field.npz"), batch_size=256, allow_overlap=True,
        )  # fmt: skip
        for step in STEPS:
            measured(step, lambda: made.run_step(step))  # noqa: B023 - called at once
        measured("report", lambda: write_report(made))
        measured("export", lambda: export(made, home / "out", formats=("csv",)))
        summary = made.summary()
        report = [path for path in (made.path / "report").rglob("*") if path.is_file()]
        return {
            "tested": tested,
            "errors": summary["test"]["errors"],
            "linked_from": summary["linked_from"],
            "clusters": len(summary["clusters"]),
            "causes": len(summary["causes"]),
            "selected": summary["selection"]["images"],
            "purity": made.evaluation["purity"]["weighted_purity"],
            "report_mb": sum(path.stat().st_size for path in report) / 1e6,
            "page_mb": (made.path / "report" / "index.html").stat().st_size / 1e6,
            "study_mb": sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file()) / 1e6,
            "steps": steps,
        }


def main() -> None:
    """Run the parts asked for, write the record and draw it."""
    if sys.argv[1:2] == ["--child"]:
        part, *arguments = sys.argv[2:]
        if part == "study":
            print(json.dumps(study_once(int(arguments[0]))))
        else:
            print(json.dumps(cluster_once(arguments[0], *map(int, arguments[1:]))))
        return
    chosen = harness.parse(_options(), repeats=1, largest=8000, limit=20.0, tested=2000)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    packages = dict.fromkeys(one.package for one in CONTENDERS.values())
    versions = harness.versions(*packages, "numpy", "torch")
    harness.left_out(versions)
    # Of a part that is not run again, packages may be gone.
    found = {name: version for name, version in versions.items() if version}
    record |= {"versions": record.get("versions", versions) | found, "repeats": 1}
    for part in chosen.part or PARTS:
        machine = harness.machine()
        figures = (
            linkage(chosen.largest, chosen.features, chosen.limit)
            if part == "linkage"
            else study(chosen.tested)
        )
        record[part] = {"machine": machine, "figures": figures}
    harness.write(chosen.out, record)
    if "linkage" in record:
        drawn(chosen.out.with_suffix(".svg"), record["linkage"]["figures"])


def _options() -> argparse.ArgumentParser:
    options = harness.parser(__doc__ or "", "scale")
    options.add_argument("--part", choices=PARTS, action="append")
    largest = int(memory_bytes() / 2 / 40 / 32)
    options.add_argument(
        "--largest", type=int, default=largest, help="rows at most; by default what memory holds"
    )
    options.add_argument("--features", type=int, default=32, help="numbers of a row")
    options.add_argument("--limit", type=float, default=600.0, help="seconds of one run, about")
    options.add_argument(
        "--tested", type=int, default=112_000, help="test images of the study, nine in ten errors"
    )
    return options


if __name__ == "__main__":
    main()
