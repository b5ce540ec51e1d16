"""What is told on the judge set: images that chose neither clusters nor labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hudd.errors import HuddError
from hudd.evaluation import wilson
from hudd.language import gettext as _
from hudd.language import marked
from hudd.summary.causes import cause_facts
from hudd.summary.findings import Findings

CHOSE = "these images chose the clusters"
NOWHERE = marked("near no cause")


def judged(run: dict[str, Any]) -> dict[str, float]:
    """Return a retraining's figures on the judge set, for a row of a table; nothing where there is none."""
    found = run.get("judge")
    if found is None:
        return {}
    names = {
        "before": "accuracy_before",
        "after": "accuracy_after",
        "fixed": "improved",
        "broken": "worsened",
    }
    return {f"judge_{name}": found[key] for name, key in names.items()}


def causes_near(study: Findings) -> np.ndarray:
    """Return the cause that each judge image is near, (N_judge,) int64, 0 where it is near none.

    Raises
    ------
    HuddError
        As :func:`judge_table`.
    """
    if not study.has("judge"):
        raise HuddError(
            f"'{study.path}' has no judge set placed among the clusters; 'hudd run {study.path} --judge DATA', "
            "or '--judge-share 0.5', gives one."
        )
    with study.file.reading() as h5:
        member, inside = h5["judge/member"][...], h5["judge/inside"][...]
    count, label = len(study.split("judge").path), study.causes.of_error
    if member.shape != (count,) or (count and not (0 <= member.min() <= member.max() < len(label))):
        raise ValueError(f"the judge set's {count} images have no place among the errors")
    return np.asarray(np.where(inside, label[member], 0), np.int64)


def judge_table(study: Findings, mode: str = "") -> pd.DataFrame:
    """One row a cause: judge images near it, how many the DNN gets wrong, what retraining fixed and broke of them.

    A judge image belongs to the cause of the error that it is closest to, by what the errors were clustered by, unless
    it is farther from that cluster than the cluster's members are from each other; the last row has these.

    Parameters
    ----------
    study : Findings
        With clusters and a judge set that was placed among them.
    mode : str
        Strategy whose retrainings are told of; by default the first by name that has any.

    Raises
    ------
    HuddError
        If there is no judge set, or it has not been placed.
    """
    of_image, correct, runs = causes_near(study), study.split("judge").correct, study.retraining
    told = mode if mode in runs else next(iter(sorted(runs)), "")
    after = [np.asarray(run["judge"]["after"], bool) for run in runs.get(told, []) if "judge" in run]
    rows = []
    for number, name in [*((cause.number, cause.name) for cause in cause_facts(study)), (0, _(NOWHERE))]:
        own = of_image == number
        failures = own & ~correct
        low, high = wilson(int(failures.sum()), int(own.sum())) if own.any() else (0.0, 1.0)
        rows.append(
            {
                "cause": number,
                "name": name,
                "images": int(own.sum()),
                "failures": int(failures.sum()),
                "failure_rate": float(failures.sum() / own.sum()) if own.any() else np.nan,
                "low": low,
                "high": high,
                "fixed": _mean([one[failures].mean() for one in after]) if failures.any() else np.nan,
                "broken": _mean([(own & correct & ~one).sum() for one in after]),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class JudgedMode:
    """What the retrainings by one strategy did to the judge set; means over the runs."""

    mode: str
    runs: int
    before: float
    after: float
    fixed: float
    broken: float


@dataclass(frozen=True)
class JudgeFacts:
    """What the report tells of the judge set: its images, those that the DNN gets wrong, retrainings, causes."""

    images: int
    errors: int
    modes: list[JudgedMode]
    causes: list[dict[str, Any]]

    def of(self, mode: str) -> JudgedMode | None:
        """Return what came of the retrainings by a strategy."""
        return next((found for found in self.modes if found.mode == mode), None)


def judge_facts(study: Findings, mode: str = "") -> JudgeFacts | None:
    """Gather what is told on the judge set; None where there is none. `mode` as for :func:`judge_table`."""
    if not study.has("splits/judge"):
        return None
    correct, modes = study.split("judge").correct, []
    for name, runs in study.retraining.items():
        found = [judged(run) for run in runs if "judge" in run]
        if found:
            keys = ("before", "after", "fixed", "broken")
            means = {key: float(np.mean([row[f"judge_{key}"] for row in found])) for key in keys}
            modes.append(JudgedMode(name, len(found), **means))
    modes.sort(key=lambda found: (found.mode != mode, found.mode))
    causes = judge_table(study, mode).to_dict("records") if study.has("judge") else []
    return JudgeFacts(len(correct), int((~correct).sum()), modes, causes)


def _mean(values: list[Any]) -> float:
    return float(np.mean(values)) if values else np.nan
