"""How far off a DNN is where numbers are predicted, before and after retraining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hudd.summary.findings import Findings


@dataclass(frozen=True)
class MeanError:
    """The mean error of some images before and after retraining, in the unit of the targets.

    Attributes
    ----------
    before, after : float
        Means over the images of each image's mean error over its parts; after retraining also over the runs.
    low, high : float
        95 % interval of the mean of the images' differences, after minus before: Student's t, the images taken as
        independent.
    images : int
        Number of images whose error is known.
    """

    before: float
    after: float
    low: float
    high: float
    images: int

    def __str__(self) -> str:
        return (
            f"{self.before:.3g} → {self.after:.3g} ({self.after - self.before:+.3g}, 95 % interval {self.low:+.3g} to "
            f"{self.high:+.3g}, {self.images:,} images)"
        )


def offs(study: Findings, split: str = "test") -> np.ndarray | None:
    """Return (N, P) how far each part of the DNN's output is off on the images of a split, NaN of what is not judged.

    None where the task has no such errors.
    """
    kept, facts = study.values(split).get("off"), study.facts()
    if kept is None or "thresholds" not in facts:
        return None
    judged = np.array([limit is not None for limit in facts["thresholds"]])
    off: np.ndarray = np.where(judged, kept, np.nan)
    return off


def mean_errors(study: Findings, split: str = "test") -> dict[str, MeanError]:
    """Return the change of the mean error by the strategy that was retrained by; nothing where there is none.

    `split` is the images that it is told of: "test", whose errors made the clusters, or "judge".
    """
    before = offs(study, split) if study.has(f"splits/{split}") else None
    if before is None:
        return {}
    found = {}
    for mode, runs in study.retraining.items():
        told = runs if split == "test" else [run[split] for run in runs if split in run]
        known = [_by_image(np.where(np.isfinite(before), run["off"], np.nan)) for run in told if "off" in run]
        if known:
            found[mode] = compare_errors(_by_image(before), np.mean(known, axis=0))
    return found


def compare_errors(before: np.ndarray, after: np.ndarray) -> MeanError:
    """Compare the errors of the same images, (N,) each, NaN where not known."""
    known = np.isfinite(before) & np.isfinite(after)
    before, after = before[known], after[known]
    from hudd.retraining.statistics import confidence_interval  # torch and SciPy: seconds

    low, high = confidence_interval(after - before)
    return MeanError(float(before.mean()), float(after.mean()), low, high, int(known.sum()))


def parts_table(study: Findings) -> pd.DataFrame:
    """One row an output, landmark or label that is judged, the one that is farthest off first.

    Mean error, 90th percentile, threshold, share of the images that are beyond it, and the mean error after retraining
    by each strategy.
    """
    before, facts = offs(study), study.facts()
    if before is None:
        return pd.DataFrame()
    limits = np.array([np.nan if limit is None else limit for limit in facts["thresholds"]])
    judged = np.flatnonzero(np.isfinite(limits) & np.isfinite(before).any(axis=0))
    off = before[:, judged]
    columns = {
        study.task.part: [facts["parts"][at] for at in judged],
        "mean": np.nanmean(off, axis=0),
        "p90": np.nanpercentile(off, 90, axis=0),
        "threshold": limits[judged],
        "beyond": np.nanmean(np.where(np.isfinite(off), off > limits[judged], np.nan), axis=0),
    }
    for mode, runs in study.retraining.items():
        after = [np.nanmean(run["off"][:, judged], axis=0) for run in runs if "off" in run]
        if after:
            columns[f"mean after {mode}"] = np.mean(after, axis=0)
    return pd.DataFrame(columns).sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def _by_image(off: np.ndarray) -> np.ndarray:
    """Return the mean error of each image over its parts, (N,), NaN where none is known."""
    known = np.isfinite(off)
    total, count = np.where(known, off, 0).sum(axis=1), known.sum(axis=1)
    mean: np.ndarray = np.divide(total, count, out=np.full(len(off), np.nan), where=count > 0)
    return mean
