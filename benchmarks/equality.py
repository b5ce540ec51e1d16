"""What of a study stays the same when it is computed otherwise: ``python benchmarks/equality.py [--out FILE]``.

One study is computed again and again with another number of threads, batch size, number of decoding threads, number of
processes and instruction set, each time from the start, and every dataset of ``study.h5`` is compared. The table in
docs/equality.md is made of that; tests/study/test_equality.py holds every line of it on a small study.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import h5py
import harness
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
_INSTRUCTIONS = "HUDD_BENCHMARK_INSTRUCTIONS"  # set of the compiled core, read by child()

# What is compared, by name: globs of datasets.
GROUPS: dict[str, tuple[str, ...]] = {
    "data and errors": (
        "class",
        "error",
        "splits/*/path",
        "splits/*/label",
        "splits/*/parameters/*",
        "splits/*/pixels",
        "splits/*/thumbnail",
        "splits/*/reading",
    ),
    "attributes": ("splits/*/attributes/*",),
    "predictions": ("splits/*/prediction", "splits/*/correct"),
    "scores, entropies": ("splits/*/score", "splits/*/entropy"),
    "features, relevance": ("layers/*/relevance",),
    "conservation": ("layers/*/conservation", "layers/*/cumulative"),
    "distances": ("layers/*/distance",),
    "dendrogram, WICD": ("layers/*/linkage", "layers/*/wicd/*"),
    "clusters, causes": (
        "layers/*/label",
        "layers/*/medoid",
        "clusters/label",
        "clusters/medoid",
        "clusters/cause",
        "clusters/causes/medoid",
        "clusters/causes/common",
    ),
    "evidence of causes": ("clusters/causes/shared", "clusters/causes/p_*"),
    "selected images": ("selection/image", "selection/cluster", "selection/rank"),
    "their distances": (
        "selection/distance",
        "selection/radius_ratio",
        "selection/outside",
        "selection/nearest/*",
    ),
    "evaluation": ("evaluation/*", "causes/*"),
    "images drawn for retraining": ("retraining/*/bag", "retraining/*/cluster", "retraining/*/before"),
    "retrained predictions": ("retraining/*/after", "retraining/*/recovery"),
    "losses of the retraining": ("retraining/*/history/*",),
}


# Shares of what the DNN's output explains: their size says something, they are not compared with the largest of them.
ABSOLUTE = {"conservation"}


@dataclass(frozen=True)
class Variation:
    """A way to compute the same study otherwise.

    Attributes
    ----------
    title : str
        For the table.
    settings : dict of str to object
        Settings of the study in place of its own.
    environment : dict of str to str
        Set for the process.
    processes : int
        Under torchrun, where there are several.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1


VARIATIONS: dict[str, Variation] = {
    "again": Variation("the same call again"),
    "threads": Variation("2 threads", environment={"OMP_NUM_THREADS": "2"}),
    "workers": Variation("0 decoding threads", {"workers": 0}),
    "batch": Variation("batches of 7", {"batch_size": 7}),
    "processes": Variation("2 processes", processes=2),
    "instructions": Variation(
        "AVX2 in place of AVX-512",
        environment={
            _INSTRUCTIONS: "avx2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_CBWR": "AVX2,STRICT",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NUMBA_CPU_NAME": "haswell",
            "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2",
        },
    ),
}


# What is promised where it is not the same bits. A number: equal to that share of the largest value. CHOICES: equal,
# unless two candidates are closer to each other than the numbers that they are chosen by. ROTATION: up to the
# directions of axes, so that distances are as promised for these. DISTRIBUTION: as with another seed.
CHOICES, ROTATION, DISTRIBUTION = "choices", "rotation", "distribution"
_RETRAINED = {"retrained predictions": DISTRIBUTION, "losses of the retraining": DISTRIBUTION}
_ROUNDED: dict[str, float | str] = {
    "attributes": 1e-5,
    "predictions": CHOICES,
    "scores, entropies": 1e-5,
    "features, relevance": ROTATION,
    "conservation": 1e-4,
    "distances": 1e-5,
    "dendrogram, WICD": 1e-5,
    "clusters, causes": CHOICES,
    "evidence of causes": 1e-4,
    "selected images": CHOICES,
    "their distances": 1e-5,
    "evaluation": 1e-5,
}
PROMISES: dict[str, dict[str, float | str]] = {
    "again": {},
    "threads": _RETRAINED,
    "workers": {},
    "batch": _ROUNDED,
    "processes": _RETRAINED,
    "instructions": {**_ROUNDED, **_RETRAINED},
}


def compute(study: Path, choices: Mapping[str, Any], variation: Variation) -> None:
    """Compute a study from the start, as ever but for the variation, in a process of its own."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(variation.processes)]
    command = [
        sys.executable,
        *(launcher if variation.processes > 1 else ()),
        __file__,
        "--child",
        str(study),
    ]
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variation.environment}
    settings = json.dumps({**choices, **variation.settings})
    done = subprocess.run([*command, settings], env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{variation.title}: {done.stderr}")


def child(study: str, settings: str) -> None:
    """Compute a study in this process, as the command line does."""
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    from hudd import Study, _core
    from hudd.ranks import join

    if _INSTRUCTIONS in os.environ:
        _core.select_instruction_set(os.environ[_INSTRUCTIONS])
    join()
    Study.create(study, **json.loads(settings)).run()


def datasets(study: Path) -> dict[str, np.ndarray]:
    """Every dataset of a study but dimension scales without values."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not (item.is_scale and not item.id.get_storage_size()):
            found[name] = item[()]

    with h5py.File(study / "study.h5", locking=False) as file:
        file.visititems(visit)
    return found


def group_of(name: str) -> str:
    """Return the group of a dataset."""
    found = [group for group, globs in GROUPS.items() if any(fnmatchcase(name, glob) for glob in globs)]
    if len(found) != 1:
        raise ValueError(f"dataset '{name}' belongs to {found or 'no group'}; see GROUPS")
    return found[0]


def difference(one: np.ndarray, other: np.ndarray, *, absolute: bool = False) -> dict[str, float]:
    """Compare two datasets: share of values that differ, and by how much of the largest value at most."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return {"differ": 1.0, "largest": float("inf")}
    if one.dtype.kind not in "fiub":
        apart = np.asarray(one != other)
        return {
            "differ": float(apart.mean()) if one.size else 0.0,
            "largest": float("inf") if apart.any() else 0.0,
        }
    a, b = np.atleast_1d(one.astype(np.float64)), np.atleast_1d(other.astype(np.float64))
    apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not apart.any():
        return {"differ": 0.0, "largest": 0.0}
    size = 1.0 if absolute else np.max(np.abs(a), where=np.isfinite(a), initial=0)
    gap = np.max(np.nan_to_num(np.abs(a - b), nan=np.inf), where=apart, initial=0)
    return {"differ": float(apart.mean()), "largest": float(gap / size) if size else float("inf")}


def compare(one: Path, other: Path) -> dict[str, dict[str, float]]:
    """Compare two studies by group: the largest figures of its datasets."""
    a, b = datasets(one), datasets(other)
    if a.keys() != b.keys():
        raise ValueError(f"the studies hold different datasets: {sorted(a.keys() ^ b.keys())}")
    found: dict[str, dict[str, float]] = {}
    for name in a:
        group = group_of(name)
        now = difference(a[name], b[name], absolute=group in ABSOLUTE)
        before = found.setdefault(group, {"differ": 0.0, "largest": 0.0})
        for key, value in now.items():
            before[key] = max(before[key], value)
    return found


def broken_promises(variation: str, found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return what differs by more than is promised, in words; rotations and distributions are not judged here."""
    wrong = []
    for group, gap in found.items():
        promise = PROMISES[variation].get(group, 0.0)
        allowed = 0.0 if promise == CHOICES else promise
        if promise not in (ROTATION, DISTRIBUTION) and gap["largest"] > float(allowed):
            wrong.append(f"{variation}: {group} by {gap['largest']:.1e}, not {promise or 'equal to the bit'}")
    return wrong


def table(record: Mapping[str, Any]) -> str:
    """Return the table of docs/equality.md: what is promised, and what was measured where it is less."""
    lines = ["| | " + " | ".join(variation.title for variation in VARIATIONS.values()) + " |"]
    lines.append("| --- |" + " --- |" * len(VARIATIONS))
    for group in GROUPS:
        cells = []
        for name in VARIATIONS:
            promise = PROMISES[name].get(group, "bits")
            measured = [
                case[name][group]["largest"] for case in record["differences"].values() if group in case[name]
            ]
            worst = max(measured, default=0.0)
            text = f"{promise:.0e}".replace("e-0", "e-") if isinstance(promise, float) else promise
            if promise == "bits" or (promise in (ROTATION, DISTRIBUTION) and worst):
                cells.append(text)
            else:
                cells.append(f"{text} ({'bits' if not worst else f'{worst:.0e}'.replace('e-0', 'e-')})")
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_page(record: Mapping[str, Any]) -> None:
    """Put the table into docs/equality.md, between its marks."""
    before, rest = PAGE.read_text().split(_BEGIN)
    PAGE.write_text(f"{before}{_BEGIN}\n{table(record)}\n{_END}{rest.split(_END)[1]}")


PAGE = ROOT / "docs" / "equality.md"
_BEGIN, _END = "<!-- table -->", "<!-- end of the table -->"


def digits(folder: Path) -> dict[str, Any]:
    """Make the digits case ready; return the options of its study."""
    from hudd.demo import prepare

    settings = prepare("digits", folder).settings
    names = ("model", "weights", "test", "train", "improvement", "training")
    return {name: getattr(settings, name) for name in names}


def main() -> None:
    options = harness.parser(__doc__ or "", "equality")
    options.add_argument(
        "--page", action="store_true", help="write the table of an earlier record into the page"
    )
    options.add_argument("--presets", nargs="+", default=["moments", "hudd"])
    options.add_argument("--variations", nargs="+", default=list(VARIATIONS))
    chosen = harness.parse(options)
    if chosen.page:
        write_page(json.loads(chosen.out.read_text()))
        return
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scipy", "numba", "hudd"),
        "differences": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        given = digits(root / "case")
        for preset in chosen.presets:
            choices = {**given, "preset": preset}
            compute(root / preset, choices, Variation("as ever"))
            for name in chosen.variations:
                compute(root / f"{preset}-{name}", choices, VARIATIONS[name])
                found = compare(root / preset, root / f"{preset}-{name}")
                record["differences"].setdefault(preset, {})[name] = found
                rows = {group: [f"{v['differ']:.2%}", f"{v['largest']:.1e}"] for group, v in found.items()}
                harness.table(
                    f"{preset}: {VARIATIONS[name].title}", ["values that differ", "by at most"], rows
                )
                print(*broken_promises(name, found), sep="\n")
                harness.write(chosen.out, record)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
