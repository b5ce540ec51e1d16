"""AUROC of an exported monitor for failures on judge sets, and that of the DNN's largest probability.

Each bundled case is made with a seed that nothing was chosen on; half of its test set, drawn by the seed, judges. Takes
minutes a case, most of them for training.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import harness

from hudd.demo import prepare
from hudd.review.view import view
from hudd.study.monitoring import fit_monitor
from hudd.summary import cause_facts


def judged(case: str, seed: int) -> dict[str, Any]:
    """Figures of one case."""
    with tempfile.TemporaryDirectory() as folder:
        study = prepare(case, Path(folder) / "study", seed=seed)
        if study.settings.judge is None:
            study.configure(judge_share=0.5)
        study.evaluate()
        names = {cause.number: cause.name for cause in cause_facts(view(study)) if cause.common}
        found = fit_monitor(study.inputs, names)
    figures = {"causes": len(names), **found.figures.to_dict(), "verdict": found.figures.verdict}
    rows = {
        row["score"]: [row["AUROC"], row["95 % interval"]] for row in found.figures.table().to_dict("records")
    }
    harness.table(f"{case}, {found.figures.title}", ("AUROC", "95 % interval"), rows)
    print(found.figures.verdict)
    return figures


def main() -> None:
    """Judge, print and write."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "monitor")
    options.add_argument("--cases", default="digits,eyes-gaze", help="bundled cases, with commas")
    options.add_argument("--seed", type=int, default=31)
    chosen = harness.parse(options, cases="digits")
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "hudd"),
        "seed": chosen.seed,
        "false_alarm_rate": 0.05,
        "cases": {},
    }
    for case in chosen.cases.split(","):
        record["cases"][case] = judged(case, chosen.seed)
        harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
