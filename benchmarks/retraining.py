"""Does the selection help? Equal label budgets, repeated retrainings, on traffic signs, eyes and digits.

The protocol, fixed before the run:

* Cases: the traffic-sign DNN of examples/gtsrb (SGD at 1e-4 for 6 epochs); the bundled cases eyes-gaze and mnist,
  made and trained with seed 2, and retrained as they say themselves. The strategies were developed on seeds 0 and 1 of
  the two bundled cases and on the same traffic-sign test set with other retraining seeds; nothing was looked at with
  the data and seeds used here. The traffic signs' learning rate comes from that development, the number of labels
  from seed 1 of eyes-gaze.
* Clusters and label budget (0.6 images per member of a cluster) are what `hudd select` chooses by default, with preset
  moments; all strategies fill bags of the size of hudd's balanced bag.
* Seeds 200 to 209. First random, entropy, hudd and hybrid, seed after seed, all cases of a seed before the next; then
  none, bl1 and bl2 for seeds 200 and 201. Where time runs out, seeds that all strategies and cases have finished count.
* Questions, each a two-sided Mann-Whitney U test at 5 %: (1) is hudd's test accuracy on the traffic signs above
  random's; (2) is hybrid's above entropy's on the mean of the three cases, seed by seed? Everything else that is
  written is description, without correction for the number of comparisons.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch

from hudd.data.cases import get_case
from hudd.demo import prepare
from hudd.retraining import Comparison, TrainingConfig, compare, confidence_interval, contrast
from hudd.selection import ClosestMembers, strategies
from hudd.study import Study
from hudd.study.steps import doubt
from hudd.study.steps.select import read_closest

ROOT = Path(__file__).parent.parent
PRIMARY, SECONDARY = ("random", "entropy", "hudd", "hybrid"), ("none", "bl1", "bl2")
FIRST_SEED, CASE_SEED, _SECONDARY_SEEDS = 200, 2, 2
CASES = {"gtsrb": None, "eyes": "eyes-gaze", "mnist": "mnist"}
SPLITS = ("train", "test", "improvement")
PLAIN: dict[str, Any] = {"average": 0.0, "interpolate": 1.0}  # the last weights as they are


@dataclass(frozen=True)
class Case:
    """All that the comparison needs of a case, in memory."""

    model: torch.nn.Module
    images: dict[str, torch.Tensor]
    labels: dict[str, np.ndarray]
    config: TrainingConfig
    inputs: dict[str, np.ndarray]

    def compare(self, folder: Path, names: tuple[str, ...], seed: int, runs: int) -> Comparison:
        """Compare the strategies; finished runs are read from the folder."""
        found = self.inputs
        closest = ClosestMembers(
            **{name: found[name] for name in ("clusters", "size", "distance", "member", "reach")}
        )
        chosen = strategies(
            names, closest, found["cluster"], budget=int(found["budget"]), entropy=found["entropy"],
            correct=found["correct"], failure=found["failure"],
        )  # fmt: skip
        return compare(
            self.model, self.images["train"], self.images["improvement"], self.images["test"], chosen, self.config,
            folder=folder, runs=runs, seed=seed, reference=names[0], clusters=found["group"],
            **{f"{split}_labels": labels for split, labels in self.labels.items()},
        )  # fmt: skip


def open_case(name: str, folder: Path, data: Path | None) -> Case:
    """Make or open the case's study, take it to the selection, and read what the comparison needs."""
    case = CASES[name]
    if case is None:
        assert data is not None, "the traffic signs need --data"
        study = _signs(folder / "study", data)
        config = TrainingConfig(epochs=6, lr=1e-4, **PLAIN)
    else:
        study = prepare(case, folder / "study", seed=CASE_SEED)
        config = TrainingConfig(**get_case(case).retraining, **PLAIN)
    cache = folder / "inputs.npz"
    if not cache.exists():
        np.savez(cache, **_inputs(study.select()))  # type: ignore[arg-type]
    sources = {split: study.source(split) for split in SPLITS}
    return Case(
        study.model.module,
        {split: source.load(np.arange(len(source))) for split, source in sources.items()},
        {split: np.asarray(source.labels) for split, source in sources.items()},
        config,
        dict(np.load(cache)),
    )


def _signs(path: Path, data: Path) -> Study:
    if (path / "study.h5").exists():
        return Study.open(path)
    sets = {split: f"{data / 'manifest.csv'}::{split}" for split in SPLITS}
    model = str(ROOT / "examples/gtsrb/model.py") + ":cnn45"
    return Study.create(path, model=model, weights=str(data / "cnn45.pth"), **sets)


def _inputs(study: Study) -> dict[str, np.ndarray]:
    """Distances to the clusters, entropy, estimated failure rate, and the groups that recovery is counted by."""
    closest, test, improvement = read_closest(study), study.split("test"), study.split("improvement")
    group = study.clusters.label
    if "cause" in test.parameters:  # known, so that recovery is counted by the true cause
        group = np.unique(test.parameters["cause"].astype(str)[study.errors], return_inverse=True)[1] + 1
    return {
        **vars(closest),
        "cluster": study.clusters.label,
        "group": group,
        "names": np.unique(test.parameters.get("cause", np.empty(0, "U1")).astype(str)),
        "budget": np.array(len(study.selection)),
        "layer": np.array(study.chosen_layer),
        "entropy": improvement.entropy,
        "correct": improvement.correct,
        "failure": doubt.failure(study.inputs, study.journal),
    }


def _means(found: dict[str, Comparison], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row a strategy: the mean accuracy over the cases, seed by seed, and the tests."""
    values = {
        name: np.mean([comparison.accuracies(name) for comparison in found.values()], axis=0)
        for name in names
    }
    rows = []
    for name in names:
        low, high = confidence_interval(values[name])
        row = {"strategy": name, "accuracy_mean": float(values[name].mean()), "ci_low": low, "ci_high": high}
        for other in ("random", "entropy"):
            if other in names and name != other:
                row[f"against_{other}"] = vars(contrast(values[name], values[other]))
        rows.append(row)
    return rows


def _record(case: Case, comparison: Comparison) -> dict[str, Any]:
    """The figures of one case."""
    rows = comparison.summary()
    names, causes = [row["strategy"] for row in rows], case.inputs["names"]
    for row in rows:
        if "entropy" in names and row["strategy"] != "entropy":
            entropy = comparison.accuracies("entropy")
            row["against_entropy"] = vars(contrast(comparison.accuracies(row["strategy"]), entropy))
        if len(causes):
            row["recovery"] = {str(causes[int(c) - 1]): share for c, share in row["recovery"].items()}
            counts = dict(zip(*np.unique(causes[case.inputs["group"] - 1], return_counts=True)))
            injected = {name: counts[name] for name in row["recovery"] if name != "none"}
            fixed = sum(count * row["recovery"][name] for name, count in injected.items())
            row["recovered_injected"] = float(fixed / sum(injected.values()))
    return {
        "layer": str(case.inputs["layer"]),
        "clusters": len(case.inputs["clusters"]),
        "budget": int(case.inputs["budget"]),
        "improvement_images": len(case.labels["improvement"]),
        "test_images": len(case.labels["test"]),
        "training": case.config.describe(),
        "strategies": rows,
        "accuracies": {name: comparison.accuracies(name).tolist() for name in names},
    }


def _both(first: Comparison, second: Comparison) -> Comparison:
    """Show primary and secondary strategies in one table."""
    return Comparison((*first.runs, *second.runs), first.reference)


def _report(cases: dict[str, Case], folder: Path, seeds: int, out: Path) -> None:
    """Read the finished runs, compute the statistics and write them."""
    few = min(_SECONDARY_SEEDS, seeds)
    primary = {n: c.compare(folder / n / "runs", PRIMARY, FIRST_SEED, seeds) for n, c in cases.items()}
    found = {
        n: _both(primary[n], c.compare(folder / n / "runs", SECONDARY, FIRST_SEED, few))
        for n, c in cases.items()
    }
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "hudd"),
        "protocol": (__doc__ or "").split("\n\n", 1)[1].strip(),
        "seeds": {"primary": seeds, "secondary": few},
        "cases": {name: _record(case, found[name]) for name, case in cases.items()},
        "mean_of_cases": _means(primary, PRIMARY),
    }
    for name, content in record["cases"].items():
        print(f"{name}: before {100 * content['strategies'][0]['accuracy_before']:.2f} %")
        for row in content["strategies"]:
            print(
                _line(row["strategy"], row["accuracy_mean"], row["accuracy_ci_low"], row["accuracy_ci_high"])
            )
    print("mean of the cases")
    for row in record["mean_of_cases"]:
        tests = [f"p {row[key]['p_value']:.4f} A12 {row[key]['a12']:.2f} {key.replace('_', ' ')}" for key in row
                 if key.startswith("against")]  # fmt: skip
        print(_line(row["strategy"], row["accuracy_mean"], row["ci_low"], row["ci_high"]), *tests, sep="  ")
    harness.write(out, record)


def _line(name: str, mean: float, low: float, high: float) -> str:
    return f"  {name:8s} {100 * mean:6.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def main() -> None:
    """Run what is not there yet, then write the figures of all seeds that are finished."""
    options = argparse.ArgumentParser(
        description=(__doc__ or ""), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", type=Path, help="folder with cnn45.pth and manifest.csv of the traffic signs"
    )
    options.add_argument("--folder", type=Path, default=ROOT / "build/retraining", help="of studies and runs")
    options.add_argument(
        "--cases", default=",".join(CASES), help="some of them, to share the work among processes"
    )
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument(
        "--report", action="store_true", help="run nothing, write the figures of what is finished"
    )
    options.add_argument("--out", type=Path, default=harness.RESULTS / "retraining.json")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    data = chosen.data.resolve() if chosen.data else None
    cases = {name: open_case(name, chosen.folder / name, data) for name in chosen.cases.split(",")}
    if not chosen.report:
        few = min(_SECONDARY_SEEDS, chosen.seeds)
        for names, seeds in ((PRIMARY, chosen.seeds), (SECONDARY, few)):
            for seed in range(FIRST_SEED, FIRST_SEED + seeds):
                for name, case in cases.items():
                    started = time.perf_counter()
                    case.compare(chosen.folder / name / "runs", names, seed, 1)
                    print(f"{name} seed {seed} {time.perf_counter() - started:.0f} s", flush=True)
    if set(cases) == set(CASES):
        _report(cases, chosen.folder, chosen.seeds, chosen.out)


if __name__ == "__main__":
    main()
