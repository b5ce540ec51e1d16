"""Do labels pay on images that nobody has seen? Strategies at equal labels, retrained, counted on judge sets.

The protocol, fixed before the final run:

* Cases and networks: those of benchmarks/selection_cases.py: MNIST, rendered eyes and traffic lights, each with a plain
  network and one of residual blocks with batch normalisation; traffic signs with a published network; natural images
  with EfficientNet-Lite0. Draws 61, 62 and 63: for each, data are generated with this seed, networks are trained on
  them (except the published ones), and half of the test set is the judge set, class by class, with images of one
  source or that look alike on one side. No draw was looked at before. Clusters are those of the other half, by the
  default preset.
* Training, by the defaults: averaged over the last half of the steps, three quarters of the way from the weights before
  to those after; trusted images by the bound 0.09; bags as large as balances the clusters in that of hudd, those of the
  others filled by bootstrap, with two thirds of errors at most. Stochastic gradient descent with momentum, or Adam for
  the last layers of the traffic signs and natural images, in batches of 64, with the learning rate and as many epochs
  as the case says. Trusted images, the share of errors and the budgets below were chosen on draws 51 to 53, of which an
  earlier run of this protocol was made, the learning rates on draws 41 and 42.
* Labels: 2 % of the improvement set, and as many as hudd asks for by default, 0.6 for each error of a cluster.
* Strategies: random, entropy, entropy-kmeans, by-cause and hudd. Seeds 950 to 954 of selection and training. A seed is
  run for all cases, draws and budgets before the next one; what all strategies have finished for a case, network, draw,
  budget and seed counts. Where time runs out the rest is left out, whatever it shows.
* Metric: accuracy on the judge set after retraining. The mean over the cases is that of the means over networks, of the
  means over draws, budgets and seeds.
* Asked of by-cause, which is to be the default: (1) is it the first of all strategies on this mean, and on no case
  significantly behind the best other one (Holm over the cases); (2) is it ahead of random, of entropy and of
  entropy-kmeans; (3) do no more correct predictions regress than with random, on the mean over the cases? Differences
  are paired by case, network, draw, budget and seed: two-sided Wilcoxon signed-rank tests at 5 %; since seeds of one
  network are not independent, the same is told of the means over budgets and seeds, one pair a case, network and draw.
  By-cause becomes the default of the presets of moments if it is first; otherwise hudd stays.
* Told besides (seed 950, the larger budget): all strategies without trusted images; and with bags whose share of errors
  is not bounded (since the run, for 2 % as well); how often the predictions of trusted images are wrong, against as
  many of the lowest entropies; errors fixed, the share of the labels that were errors, seconds of the selection.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from scipy import stats
from selection_cases import CASES, ROOT, TRUSTED, features, study_of, with_trusted

from hudd.evaluation import holm
from hudd.retraining import TrainingConfig, predict, retrain
from hudd.selection import cluster_budgets, select_trusted, strategies_of
from hudd.study.steps.select import candidates_of, read_closest

STRATEGIES = ("random", "entropy", "entropy-kmeans", "by-cause", "hudd")
ASKED, FACTOR = "by-cause", 0.6
DRAWS, SHARES, SEEDS = (61, 62, 63), (0.02, 1.0), (950, 951, 952, 953, 954)  # 1: the default budget
VARIANTS = ("no trusted images", "any share of errors")
Row = dict[str, Any]


class Draw:
    """One draw of a case, in memory."""

    def __init__(self, name: str, folder: Path, draw: int) -> None:
        self.study, self.name, self.draw = study_of(name, folder, draw), name, draw
        model, case = self.study.model.module, CASES[name]
        recipe = {"lr": 0.02, "batch_size": 64} | case.retraining
        self.config = TrainingConfig(**recipe)
        sources = {split: self.study.source(split) for split in ("train", "improvement", "judge")}
        self.images = {split: source.load(np.arange(len(source))) for split, source in sources.items()}
        self.labels = {split: np.asarray(source.labels) for split, source in sources.items()}
        self.model = model
        if case.body is not None:
            body, self.model = case.body(model)
            self.images = {split: features(body, images) for split, images in self.images.items()}
        improvement = self.study.split("improvement")
        known = candidates_of(self.study.inputs, self.study.journal, read_closest(self.study))
        self.candidates, self.prediction = replace(known, correct=improvement.correct), improvement.prediction
        self.before = self.study.evaluate().split("judge").correct
        failure, most = self.candidates.estimate(), len(self.labels["train"])  # type: ignore[misc]
        self.trusted = select_trusted(failure, TRUSTED, most=most, seed=draw)
        surest = np.argsort(self.candidates.entropy, kind="stable")[: len(self.trusted)]
        self.wrong = [
            round(float((~improvement.correct[rows]).mean()), 4) if len(rows) else 0.0
            for rows in (self.trusted, surest)
        ]
        asked = int(cluster_budgets(self.candidates.closest.size, FACTOR).sum())
        self.default_budget = min(asked, len(self.candidates))

    def run(self, strategy: str, share: float, seed: int, *, variant: str) -> Row:
        """Select, retrain and count."""
        budget = self.default_budget if share == 1 else round(share * len(self.candidates))
        correct = self.candidates.correct
        assert correct is not None
        known = (
            replace(self.candidates, correct=None) if variant == "any share of errors" else self.candidates
        )
        started = time.perf_counter()
        labelled, bag = strategies_of([strategy], known, budget=budget)[strategy](seed)
        seconds = time.perf_counter() - started
        trusted = self.trusted[: 0 if variant == "no trusted images" else None]
        rows, labels = with_trusted(bag, labelled, trusted, self.labels["improvement"], self.prediction)
        truth = {"train_labels": self.labels["train"], "improvement_labels": labels}
        images = self.images["train"], self.images["improvement"]
        done = retrain(self.model, *images, rows, self.config, seed=seed, **truth)
        after = predict(done.model, self.images["judge"]).prediction == self.labels["judge"]
        before = self.before
        return {
            "case": self.name, "draw": self.draw, "share": share, "seed": seed, "strategy": strategy,
            "variant": variant, "labels": len(labelled), "bag": len(bag), "trusted": len(self.trusted),
            "judge_images": len(after),
            "before": round(float(before.mean()), 5), "after": round(float(after.mean()), 5),
            "fixed": round(float((~before & after).mean()), 5), "broken": round(float((before & ~after).mean()), 5),
            "errors_among_labels": round(float((~correct[labelled]).mean()), 3), "seconds": round(seconds, 2),
            "wrong_of_trusted": self.wrong[0], "wrong_of_lowest_entropies": self.wrong[1],
        }  # fmt: skip


def _run(folder: Path, names: Iterable[str], draws_of: Iterable[int], minutes: float) -> None:
    """Run what is not there yet, seed by seed."""
    begun, draws = time.perf_counter(), {}
    blocks = [(SEEDS[0], "", SHARES), *((SEEDS[0], variant, SHARES[1:]) for variant in VARIANTS)]
    blocks += [(seed, "", SHARES) for seed in SEEDS[1:]]
    blocks.append((SEEDS[0], VARIANTS[1], SHARES[:1]))
    for seed, variant, shares in blocks:
        for number in draws_of:
            for name in names:
                if time.perf_counter() - begun > 60 * minutes:
                    return
                if (name, number) not in draws:
                    draws[name, number] = Draw(name, folder, number)
                file = folder / name / str(number) / "runs.jsonl"
                done = {_key(row) for row in _rows([file])} if file.exists() else set()
                for share in shares:
                    for strategy in STRATEGIES:
                        if (name, number, share, seed, variant, strategy) not in done:
                            row = draws[name, number].run(strategy, share, seed, variant=variant)
                            with file.open("a") as lines:
                                lines.write(json.dumps(row) + "\n")
                            print(json.dumps(row), flush=True)


def _rows(files: Iterable[Path]) -> list[Row]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("case", "draw", "share", "seed", "variant", "strategy"))


def _finished(rows: list[Row]) -> list[Row]:
    """Rows of what all strategies have finished."""
    done: dict[tuple[Any, ...], set[str]] = {}
    for row in rows:
        done.setdefault(_key(row)[:-1], set()).add(row["strategy"])
    return [row for row in rows if done[_key(row)[:-1]] == set(STRATEGIES)]


def _mean(rows: list[Row], key: str) -> float:
    """Mean over the cases of the means over their networks, in %."""
    by_case: dict[str, list[float]] = {}
    for name in dict.fromkeys(row["case"] for row in rows):
        own = [row[key] for row in rows if row["case"] == name]
        by_case.setdefault(name.split(",")[0], []).append(float(np.mean(own)))
    return 100 * float(np.mean([np.mean(values) for values in by_case.values()]))


def _table(rows: list[Row]) -> list[Row]:
    """One row a case with its network, budget and strategy, then those of the mean over the cases."""
    found = []
    for name in [*dict.fromkeys(row["case"] for row in rows), "mean of the cases"]:
        for share in (*SHARES, None):
            for strategy in STRATEGIES:
                own = [
                    row for row in rows
                    if row["strategy"] == strategy and share in (None, row["share"])
                    and name in (row["case"], "mean of the cases")
                ]  # fmt: skip
                if own:
                    found.append(
                        {
                            "case": name, "share": share, "strategy": strategy, "runs": len(own),
                            "labels": float(np.mean([row["labels"] for row in own])),
                            **{
                                key: round(_mean(own, key), 3)
                                for key in ("before", "after", "fixed", "broken", "errors_among_labels")
                            },
                            "seconds": round(float(np.mean([row["seconds"] for row in own])), 3),
                        }
                    )  # fmt: skip
    return found


def _differences(rows: list[Row], one: str, other: str, key: str) -> dict[tuple[Any, ...], float]:
    """Paired differences in points, by case, draw, budget and seed."""
    values = {_key(row): 100 * row[key] for row in rows}
    return {
        (*pair[:-1],): value - values[*pair[:-1], other] for pair, value in values.items() if pair[-1] == one
    }


def _tested(values: Iterable[float]) -> Row:
    points = np.array(list(values))
    p_value = float(stats.wilcoxon(points).pvalue) if np.any(points) else 1.0
    return {"pairs": len(points), "points": round(float(points.mean()), 3), "p_value": p_value}


def _question(rows: list[Row], one: str, other: str, key: str = "after") -> Row:
    """One strategy less another: over all pairs, and over the means by case, network and draw."""
    found = _differences(rows, one, other, key)
    by_draw: dict[tuple[Any, ...], list[float]] = {}
    for pair, points in found.items():
        by_draw.setdefault(pair[:2], []).append(points)
    mean = {name: _mean([row for row in rows if row["strategy"] == name], key) for name in (one, other)}
    return {
        "strategy": one, "against": other, "of": key, "mean_of_cases": round(mean[one] - mean[other], 3),
        **_tested(found.values()), "by_draw": _tested(float(np.mean(points)) for points in by_draw.values()),
    }  # fmt: skip


def _behind(rows: list[Row], default: str) -> list[Row]:
    """The default against the best other strategy of each case."""
    found = []
    for name in dict.fromkeys(row["case"].split(",")[0] for row in rows):
        own = [row for row in rows if row["case"].split(",")[0] == name]
        mean = {s: _mean([row for row in own if row["strategy"] == s], "after") for s in STRATEGIES}
        best = max((s for s in STRATEGIES if s != default), key=mean.__getitem__)
        found.append({"case": name, **_question(own, default, best)})
    return [row | {"p_holm": p} for row, p in zip(found, holm([row["p_value"] for row in found]))]


def _report(folder: Path, out: Path) -> None:
    everything = _finished(_rows(sorted(folder.glob("*/*/runs.jsonl"))))
    rows = [row for row in everything if not row["variant"]]
    varied = [row for row in everything if row["variant"]]
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "hudd"),
        "protocol": (__doc__ or "").split("\n\n", 1)[1].strip(),
        "default": ASKED,
        "means": _table(rows),
        "default_against": [
            _question(rows, ASKED, other) for other in STRATEGIES if other != ASKED
        ],
        "default_by_case": _behind(rows, ASKED),
        "regressions": [_question(rows, ASKED, other, "broken") for other in STRATEGIES if other != ASKED],
        "variants": _ablation(rows, varied),
        "wrong_of_trusted": _wrong(rows),
        "runs": rows + varied,
    }  # fmt: skip
    for key in ("means", "default_against", "default_by_case", "regressions", "variants", "wrong_of_trusted"):
        for row in record[key]:
            print(row)
    harness.write(out, record)


def _ablation(rows: list[Row], varied: list[Row]) -> list[Row]:
    """What every strategy does by default, and with one choice undone, in %, of the same runs, by budget.

    With Wilcoxon's signed-rank test of default less variant, not corrected.
    """
    found = []
    for share in SHARES:
        own = [row for row in rows + varied if row["share"] == share]
        variants = dict.fromkeys(["", *(row["variant"] for row in own)])
        runs = [{_key(row)[:4] for row in own if row["variant"] == variant} for variant in variants]
        same = [row for row in own if _key(row)[:4] in set.intersection(*runs)]
        for variant in variants:
            for strategy in STRATEGIES:
                done = [row for row in same if (row["strategy"], row["variant"]) == (strategy, variant)]
                usual = {
                    _key(row)[:4]: row for row in same if (row["strategy"], row["variant"]) == (strategy, "")
                }
                row = {"share": share, "strategy": strategy, "variant": variant}
                row |= {key: round(_mean(done, key), 3) for key in ("before", "after", "fixed", "broken")}
                if variant:
                    for key in ("after", "broken"):
                        less = _tested(usual[_key(one)[:4]][key] - one[key] for one in done)
                        row[f"{key}_p"] = less["p_value"]
                found.append(row)
    return found


def _wrong(rows: list[Row]) -> list[Row]:
    """How often trusted predictions are wrong, in %, by case and network, and on the mean of the cases."""
    keys = ("wrong_of_trusted", "wrong_of_lowest_entropies")
    found = []
    for name in [*dict.fromkeys(row["case"] for row in rows), "mean of the cases"]:
        own = [row for row in rows if name in (row["case"], "mean of the cases")]
        found.append({"case": name, **{key: round(_mean(own, key), 2) for key in keys}})
    return found


def main() -> None:
    """Run what is not there yet, then write the figures of what is finished."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "selection_judge", help="of studies and runs"
    )
    options.add_argument("--cases", default=";".join(CASES), help="names, separated by semicolons")
    options.add_argument("--draws", default=",".join(map(str, DRAWS)), help="numbers, separated by commas")
    options.add_argument("--minutes", type=float, default=600, help="begin nothing after so many")
    options.add_argument("--out", type=Path, default=harness.RESULTS / "selection_judge.json")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    _run(chosen.folder, chosen.cases.split(";"), [int(n) for n in chosen.draws.split(",")], chosen.minutes)
    _report(chosen.folder, chosen.out)


if __name__ == "__main__":
    main()
