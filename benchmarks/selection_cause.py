"""Do labels that are spent on one cause fix that cause? Failures near it on judge sets, at equal labels.

The protocol, fixed before the run:

* Cases: the traffic-sign DNN of examples/gtsrb (`signs`, retrained by Adam at 3e-4 for 3 epochs), and the bundled cases
  `eyes-gaze`, `mnist` and `digits`, made and trained with seed 8 and retrained as they say themselves, the first two
  for 3 epochs; with trusted images, weights averaged and drawn back, as by default. Half of each test set is the judge
  set, with split seeds 34, 35 and 36. No data, split or seed was looked at before. In earlier runs the last weights
  were kept and no image was trusted: with seeds 7, 31, 32, 33 and 700 labels for a cause fixed 2.5 times as much of it
  as entropy-kmeans; with seeds 6, 21, 22, 23 and 600 `cause` looked at the more uncertain half of the closest images
  only, and fixed no more than entropy-kmeans; on its data the half was given up.
* Causes: of each case and split those that have something in common, in order of their failures on the judge set, the
  first four with at least 10. A judge image belongs to a cause as the report counts it: it is closest to one of the
  cause's clusters, within the reach of that cluster. No selection reads the judge set.
* Labels: 2 % of the improvement set, for `cause` (hudd select --cause) and each strategy that knows of no cause:
  random, entropy, margin, entropy-kmeans, badge, core-set, typiclust. Bags are filled up by bootstrap to the
  size of hudd's balanced bag. One retraining a choice, seed 701; those without a cause count for all causes of
  their split.
* Metric: the fall of the failures near the cause, in its failures before: (failures before - failures after) / before;
  what retraining breaks there counts as well. Comparison: mean fall by `cause` over mean fall by each other
  strategy, over all causes; a two-sided Wilcoxon signed-rank test of the paired differences, Holm over the strategies.
* What is finished when the time is over counts, split by split; the rest is left out, whatever it shows.
* Told besides: accuracy on the judge set; where the `cause` column of a bundled case is known, the same fall over the
  judge images of the commonest value among the cause's errors; the means by case.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from scipy import stats
from selection_cases import TRUSTED, with_trusted

from hudd.data.cases import get_case
from hudd.demo import prepare
from hudd.evaluation import NATURAL, holm
from hudd.retraining import TrainingConfig, predict, retrain
from hudd.selection import select_trusted, strategies_of
from hudd.study import Study
from hudd.study.steps.select import candidates_of, read_closest
from hudd.summary import cause_facts

ROOT = Path(__file__).parent.parent
CASES = ("digits", "signs", "mnist", "eyes-gaze")

BLIND = ("random", "entropy", "margin", "entropy-kmeans", "badge", "core-set", "typiclust")
CASE_SEED, SPLIT_SEEDS, SEED, SHARE, MOST, LEAST = 8, (34, 35, 36), 701, 0.02, 4, 10


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
        case_seed: int,
        share: float,
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
        self.prediction, self.budget = improvement.prediction, round(share * len(improvement.label))
        failure, most = known.estimate(), len(self.labels["train"])  # type: ignore[misc]
        self.trusted = select_trusted(failure, TRUSTED, most=most, seed=split)


def _targets(case: Split) -> list[dict[str, Any]]:
    """Causes to fix: number, name, and the judge images near it, (N_judge,) bool."""
    study = case.study
    with study.file.reading() as h5:
        member, inside = h5["judge/member"][...], h5["judge/inside"][...]
    near, wrong = np.where(inside, study.causes.of_error[member], 0), ~study.split("judge").correct
    known = study.split("judge").parameters.get("cause")
    found = []
    for cause in cause_facts(study):
        near_it = near == cause.number
        if cause.common and np.count_nonzero(near_it & wrong) >= LEAST:
            one = {"number": cause.number, "name": cause.name, "near": near_it, "injected": None}
            if known is not None:
                errors = study.split("test").parameters["cause"][study.errors][cause.rows]
                value = Counter(np.asarray(errors, str).tolist()).most_common(1)[0][0]
                if value != NATURAL:
                    one["injected"] = np.asarray(known, str) == value
            found.append(one)
    return sorted(found, key=lambda one: -np.count_nonzero(one["near"] & wrong))[:MOST]


def _fall(where: np.ndarray | None, before: np.ndarray, after: np.ndarray) -> float | None:
    if where is None or not np.any(where & ~before):
        return None
    failures = np.count_nonzero(where & ~before)
    return (failures - np.count_nonzero(where & ~after)) / failures


def _run(case: Split, strategy: str, target: dict[str, Any] | None, file: Path) -> np.ndarray:
    """Select, retrain, and return which judge images are right, (N_judge,) bool; kept in a file."""
    if file.is_file():
        return np.load(file)
    known = case.candidates if target is None else replace(case.candidates, target=target["number"])
    labelled, bag = strategies_of([strategy], known, budget=case.budget)[strategy](SEED)
    rows, labels = with_trusted(bag, labelled, case.trusted, case.labels["improvement"], case.prediction)
    truth = {"train_labels": case.labels["train"], "improvement_labels": labels}
    images = case.images["train"], case.images["improvement"]
    done = retrain(case.model, *images, rows, case.config, seed=SEED, **truth)
    after = predict(done.model, case.images["judge"]).prediction == case.labels["judge"]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, after)
    return after


def _split(case: Split) -> list[dict[str, Any]]:
    """One row a cause and strategy."""
    before, folder = case.study.evaluate().split("judge").correct, case.runs
    blind = {name: _run(case, name, None, folder / f"{name}.npy") for name in BLIND}
    rows = []
    for target in _targets(case):
        own = _run(case, "cause", target, folder / f"cause-{target['number']}.npy")
        for strategy, after in ({"cause": own} | blind).items():
            rows.append(
                {
                    "case": case.name, "split": case.split, "cause": target["name"], "number": target["number"],
                    "labels": case.budget, "failures": int(np.count_nonzero(target["near"] & ~before)),
                    "strategy": strategy, "fall": _fall(target["near"], before, after),
                    "fall_injected": _fall(target["injected"], before, after),
                    "before": float(before.mean()), "after": float(after.mean()),
                }
            )  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _question(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """`cause` against each other strategy: mean falls, their ratio and the signed-rank test."""
    fall = {(row["case"], row["split"], row["number"], row["strategy"]): row[key] for row in rows}
    causes = sorted({found[:3] for found, value in fall.items() if value is not None})
    own = np.array([fall[*cause, "cause"] for cause in causes])
    told = []
    for name in BLIND:
        other = np.array([fall[*cause, name] for cause in causes])
        p_value = float(stats.wilcoxon(own - other).pvalue) if np.any(own != other) else 1.0
        told.append(
            {
                "against": name, "causes": len(causes), "fall": float(own.mean()), "other": float(other.mean()),
                "ratio": float(own.mean() / other.mean()) if other.mean() > 0 else None, "p_value": p_value,
            }
        )  # fmt: skip
    return [one | {"p_holm": p} for one, p in zip(told, holm([one["p_value"] for one in told]))]


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a case and strategy."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        for strategy in ("cause", *BLIND):
            own = [row for row in rows if row["case"] == case and row["strategy"] == strategy]
            injected = [row["fall_injected"] for row in own if row["fall_injected"] is not None]
            found.append(
                {
                    "case": case, "strategy": strategy, "causes": len(own), "labels": own[0]["labels"],
                    "fall": float(np.mean([row["fall"] for row in own])),
                    "fall_injected": float(np.mean(injected)) if injected else None,
                    "before": float(np.mean([row["before"] for row in own])),
                    "after": float(np.mean([row["after"] for row in own])),
                }
            )  # fmt: skip
    return found


def main() -> None:
    """Run what is not there yet, then write the figures."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", type=Path, help="folder with cnn45.pth and manifest.csv of the traffic signs"
    )
    options.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "selection_cause", help="of studies and runs"
    )
    options.add_argument("--cases", default=",".join(CASES))
    options.add_argument("--minutes", type=float, default=600, help="begin nothing after so many")
    options.add_argument("--out", type=Path, default=harness.RESULTS / "selection_cause.json")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    data, begun, rows = chosen.data.resolve() if chosen.data else None, time.perf_counter(), []
    for split in SPLIT_SEEDS:
        for name in chosen.cases.split(","):
            if time.perf_counter() - begun < 60 * chosen.minutes:
                rows += _split(Split(name, chosen.folder, data, split, case_seed=CASE_SEED, share=SHARE))
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "hudd"),
        "protocol": (__doc__ or "").split("\n\n", 1)[1].strip(),
        "means": _means(rows),
        "near": _question(rows, "fall"),
        "injected": _question(rows, "fall_injected"),
        "runs": rows,
    }
    for key in ("means", "near", "injected"):
        for row in record[key]:
            print(
                {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
            )
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
