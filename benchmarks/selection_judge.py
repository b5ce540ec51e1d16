"""Do labels pay on images that nobody has seen? Strategies at equal labels, retrained, counted on judge sets.

The protocol, fixed before the final run:

* Cases: the traffic-sign DNN of examples/gtsrb (`signs`, retrained by Adam at 3e-4 for 3 epochs), and the bundled cases
  `eyes-gaze`, `mnist` and `digits`, made and trained with seed 5 and retrained as they say themselves; of the first two
  of these, for the first 3 epochs, so that a run takes about half a minute. None of these data, splits and seeds was
  looked at before.
* Splits: half of each test set, class by class and with images that look alike on one side, is the judge set; split
  seeds 11, 12 and 13. The clusters are those of the other half, by the default preset. No step but the counting reads
  the judge set.
* Labels: 5 % of the improvement set, the same for all strategies; bags are filled up by bootstrap (balanced over the
  clusters for hudd, as its bags are) to the size of hudd's balanced bag.
* Strategies: random, entropy, entropy-kmeans, badge, by-cause and hudd, in this order. Retraining seeds 500 to 504; all
  cases and splits of a seed come before the next seed. What all strategies have finished for a case, split and seed
  counts; where time runs out the rest is left out, whatever it shows.
* Metric: accuracy on the judge set after retraining. Comparisons, by the differences of two strategies for the same
  case, split and seed: (1) by-cause against entropy-kmeans, (2) entropy-kmeans against random, (3) hudd against random;
  two-sided Wilcoxon signed-rank tests at 5 %, without correction. If by-cause is not ahead of entropy-kmeans, it is not
  recommended.
* Told besides, as description: right answers broken, errors fixed, the share of the labels that were errors, groups of
  look-alikes that the labels cover, seconds of the selection.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from scipy import stats

from hudd.data.cases import get_case
from hudd.demo import prepare
from hudd.retraining import TrainingConfig, compare
from hudd.selection import strategies_of
from hudd.study import Study
from hudd.study.steps.select import candidates_of, read_closest

ROOT = Path(__file__).parent.parent
STRATEGIES = ("random", "entropy", "entropy-kmeans", "badge", "by-cause", "hudd")
CASES = ("digits", "signs", "mnist", "eyes-gaze")
CASE_SEED, SPLIT_SEEDS, FIRST_SEED, SEEDS, SHARE = 5, (11, 12, 13), 500, 5, 0.05
QUESTIONS = (("by-cause", "entropy-kmeans"), ("entropy-kmeans", "random"), ("hudd", "random"))


def _study(name: str, folder: Path, data: Path | None, split: int, case_seed: int) -> Study:
    """Make or open a case's study with a judge set, clustered and with its distances to the improvement set."""
    path = folder / name / f"study-{split}"
    sets = ("train", "test", "improvement")
    options: dict[str, Any] = {"judge_share": 0.5, "seed": split, "store": "none"}
    if (path / "study.h5").exists():
        study = Study.open(path)
    elif name == "signs":
        assert data is not None, "the traffic signs need --data"
        given = {split: f"{data / 'manifest.csv'}::{split}" for split in sets}
        model = str(ROOT / "examples/gtsrb/model.py") + ":cnn45"
        study = Study.create(path, model=model, weights=str(data / "cnn45.pth"), **given, **options)
    else:
        made = prepare(name, folder / name / "made", seed=case_seed).settings
        given = {split: getattr(made, split) for split in sets}
        own = {"angles": made.angles, "units": made.units}
        study = Study.create(path, model=made.model, weights=made.weights, **given, **own, **options)
    return study.select()


def _config(name: str) -> TrainingConfig:
    if name == "signs":
        return TrainingConfig(epochs=3, lr=3e-4, optimizer="adam")
    config = TrainingConfig(**get_case(name).retraining)
    return config if name == "digits" else replace(config, epochs=min(3, config.epochs))


class Split:
    """One split of a case, in memory."""

    def __init__(
        self,
        name: str,
        folder: Path,
        data: Path | None,
        split: int,
        *,
        case_seed: int = CASE_SEED,
        share: float = SHARE,
    ) -> None:
        self.study = study = _study(name, folder, data, split, case_seed)
        self.name, self.split, self.runs = name, split, folder / name / f"runs-{split}"
        self.model, self.config = study.model.module, _config(name)
        sources = {name: study.source(name) for name in ("train", "improvement", "judge")}
        self.images = {name: source.load(np.arange(len(source))) for name, source in sources.items()}
        self.labels = {name: np.asarray(source.labels) for name, source in sources.items()}
        improvement = study.split("improvement")
        known = candidates_of(study.inputs, study.journal, read_closest(study))
        self.candidates = replace(known, correct=improvement.correct)
        self.budget = round(share * len(improvement.label))
        self.groups = self.candidates.alike

    def run(self, strategy: str, seed: int) -> dict[str, Any]:
        """Select, retrain and count, or read what was counted."""
        file = self.runs / f"{strategy}-{seed}.json"
        if file.is_file():
            return dict(json.loads(file.read_text()))
        started = time.perf_counter()
        select = strategies_of([strategy], self.candidates, budget=self.budget)[strategy]
        labelled, bag = select(seed)
        seconds = time.perf_counter() - started
        found = compare(
            self.model, self.images["train"], self.images["improvement"], self.images["judge"],
            {strategy: lambda seed: (labelled, bag)}, self.config, folder=self.runs / "parts", runs=1, seed=seed,
            reference=strategy, train_labels=self.labels["train"], improvement_labels=self.labels["improvement"],
            test_labels=self.labels["judge"],
        ).runs[0]  # fmt: skip
        assert self.groups is not None
        assert self.candidates.correct is not None
        row = {
            "case": self.name, "split": self.split, "seed": seed, "strategy": strategy, "labels": len(labelled),
            "bag": len(bag), "errors_among_labels": float((~self.candidates.correct[labelled]).mean()),
            "groups": len(np.unique(self.groups(labelled))), "seconds": round(seconds, 2),
            "before": found.accuracy_before, "after": found.accuracy_after, "fixed": found.improved,
            "broken": found.worsened, "judge_images": len(self.labels["judge"]),
        }  # fmt: skip
        file.write_text(json.dumps(row))
        return row


def _finished(folder: Path) -> list[dict[str, Any]]:
    """Rows of the pairs of split and seed that all strategies have finished."""
    rows = [json.loads(file.read_text()) for file in sorted(folder.glob("*/runs-*/*.json"))]
    done: dict[tuple[str, int, int], set[str]] = {}
    for row in rows:
        done.setdefault((row["case"], row["split"], row["seed"]), set()).add(row["strategy"])
    return [row for row in rows if done[row["case"], row["split"], row["seed"]] == set(STRATEGIES)]


def _table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a case and strategy: means over its pairs of split and seed."""
    found = []
    for case in CASES:
        for strategy in STRATEGIES:
            own = [row for row in rows if row["case"] == case and row["strategy"] == strategy]
            if own:
                mean = {
                    key: float(np.mean([row[key] for row in own]))
                    for key in (
                        "before",
                        "after",
                        "fixed",
                        "broken",
                        "errors_among_labels",
                        "groups",
                        "seconds",
                    )
                }
                found.append(
                    {"case": case, "strategy": strategy, "runs": len(own), "labels": own[0]["labels"], **mean}
                )
    return found


def _question(rows: list[dict[str, Any]], one: str, other: str) -> dict[str, Any]:
    """Paired differences of two strategies over cases, splits and seeds, in points, and the signed-rank test."""
    after = {(row["case"], row["split"], row["seed"], row["strategy"]): row["after"] for row in rows}
    pairs = sorted({key[:3] for key in after})
    difference = np.array([100 * (after[*pair, one] - after[*pair, other]) for pair in pairs])
    by_case = {
        case: float(np.mean([d for pair, d in zip(pairs, difference) if pair[0] == case]))
        for case in dict.fromkeys(pair[0] for pair in pairs)
    }
    p_value = float(stats.wilcoxon(difference).pvalue) if np.any(difference) else 1.0
    return {
        "strategy": one, "against": other, "pairs": len(pairs), "points": float(difference.mean()),
        "by_case": by_case, "mean_of_cases": float(np.mean(list(by_case.values()))), "p_value": p_value,
    }  # fmt: skip


def _report(folder: Path, out: Path) -> None:
    rows = _finished(folder)
    table, questions = _table(rows), [_question(rows, *pair) for pair in QUESTIONS]
    for row in table:
        print(
            f"{row['case']:10s} {row['strategy']:15s} n {row['runs']:2d}  {100 * row['before']:6.2f} -> "
            f"{100 * row['after']:6.2f} %  broken {row['broken']:6.1f}  errors {row['errors_among_labels']:.2f}"
        )
    for found in questions:
        print({key: value for key, value in found.items() if key != "by_case"})
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "hudd"),
        "protocol": (__doc__ or "").split("\n\n", 1)[1].strip(),
        "means": table,
        "questions": questions,
        "runs": rows,
    }
    harness.write(out, record)


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """Return the options of a benchmark of selection, whose record has this name."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", type=Path, help="folder with cnn45.pth and manifest.csv of the traffic signs"
    )
    options.add_argument("--folder", type=Path, default=ROOT / "build" / name, help="of studies and runs")
    options.add_argument("--cases", default=",".join(CASES))
    options.add_argument("--minutes", type=float, default=600, help="begin nothing after so many")
    options.add_argument("--out", type=Path, default=harness.RESULTS / f"{name}.json")
    return options


def main() -> None:
    """Run what is not there yet, then write the figures of what is finished."""
    options = parser(__doc__ or "", "selection_judge")
    options.add_argument(
        "--report", action="store_true", help="run nothing, write the figures of what is finished"
    )
    chosen = options.parse_args()
    torch.set_num_threads(1)
    data, begun = chosen.data.resolve() if chosen.data else None, time.perf_counter()
    for number in range(0 if not chosen.report else SEEDS, SEEDS):
        for split in SPLIT_SEEDS:
            for name in chosen.cases.split(","):
                if time.perf_counter() - begun > 60 * chosen.minutes:
                    break
                case = Split(name, chosen.folder, data, split)
                for strategy in STRATEGIES:
                    row = case.run(strategy, FIRST_SEED + number)
                    print(json.dumps(row), flush=True)
    _report(chosen.folder, chosen.out)


if __name__ == "__main__":
    main()
