"""AUROC of a monitor for failures, compared with that of what the DNN's output says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from hudd.evaluation import Auroc, AurocDifference, auroc, auroc_difference, wilson
from hudd.study.results import Results
from hudd.text import percent


@dataclass(frozen=True)
class MonitorFigures:
    """How well a monitor tells failures.

    Attributes
    ----------
    on : str
        "judge": images that chose nothing; "test": test images, each judged by a monitor that was fitted without it.
    images, failures : int
        So many.
    monitor : Auroc
        By its score.
    usual : Auroc or None
        By what the DNN's output says: 1 less the largest probability, or the entropy where labels are several; None
        where outputs are no probabilities. `usual_name` says which.
    both : Auroc or None
        By the mean rank of the two.
    difference, both_difference : AurocDifference or None
        Of the monitor, and of both, less the usual one.
    alarms, false_alarms : int
        Failures, and other images, above the threshold.
    """

    on: str
    images: int
    failures: int
    monitor: Auroc
    usual: Auroc | None
    usual_name: str
    both: Auroc | None
    difference: AurocDifference | None
    both_difference: AurocDifference | None
    alarms: int
    false_alarms: int

    @property
    def verdict(self) -> str:
        """Whether the monitor tells failures better than the usual score, in a sentence."""
        if self.difference is None:
            return "the DNN's outputs are no probabilities, so there is no usual score to compare with."
        low, high = self.difference.interval
        told = f"{self.difference.value:+.3f} ({low:+.3f} to {high:+.3f})"
        if low > 0:
            return f"the monitor tells failures better than {self.usual_name}: {told}."
        if high < 0:
            return f"{self.usual_name} tells failures better than the monitor: {told}."
        return f"the monitor tells failures no better than {self.usual_name}, and no worse: {told}."

    @property
    def title(self) -> str:
        """What the figures are counted on."""
        fitted = "" if self.on == "judge" else ", each by a monitor fitted without it"
        return f"{self.failures:,} failures among {self.images:,} {self.on} images{fitted}"

    def table(self) -> pd.DataFrame:
        """One row a score: its area under the curve and the 95 % interval."""
        areas = {"monitor": self.monitor, self.usual_name: self.usual, "both, by mean rank": self.both}
        rows = [
            {
                "score": name,
                "AUROC": round(one.value, 3),
                "95 % interval": "{:.3f} to {:.3f}".format(*one.interval),
            }
            for name, one in areas.items()
            if one is not None
        ]
        return pd.DataFrame(rows)

    def told(self) -> dict[str, str]:
        """Return what the threshold does, a line each."""
        correct = self.images - self.failures
        pairs = {
            "failures with an alarm": (self.alarms, self.failures),
            "false alarms": (self.false_alarms, correct),
        }
        return {
            name: "{:,} of {:,} ({}, {} to {})".format(
                count, of, *map(percent, (count / of, *wilson(count, of)))
            )
            for name, (count, of) in pairs.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        areas = {"monitor": self.monitor, "usual": self.usual, "both": self.both}
        differences = {"monitor_less_usual": self.difference, "both_less_usual": self.both_difference}
        correct = self.images - self.failures
        return {
            "on": self.on,
            "images": self.images,
            "failures": self.failures,
            "usual_score": self.usual_name or None,
            "auroc": {
                key: one and {"value": one.value, "interval": list(one.interval)}
                for key, one in areas.items()
            },
            "differences": {
                key: one and {"value": one.value, "interval": list(one.interval)}
                for key, one in differences.items()
            },
            "alarms": {
                "count": self.alarms,
                "of": self.failures,
                "interval": list(wilson(self.alarms, self.failures)),
            },
            "false_alarms": {
                "count": self.false_alarms,
                "of": correct,
                "interval": list(wilson(self.false_alarms, correct)),
            },
        }


def figures_of(
    results: Results, on: str, failed: np.ndarray, scores: np.ndarray, threshold: float
) -> MonitorFigures:
    """Judge scores of a monitor on a split.

    Parameters
    ----------
    results : Results
        The study.
    on : str
        The split.
    failed : np.ndarray
        (N,) bool.
    scores : np.ndarray
        (N,) of the monitor.
    threshold : float
        Score above which there is an alarm.
    """
    split, task = results.split(on), results.task
    usual, name = None, ""
    if task.has_classes:
        usual, name = 1.0 - split.score, "1 - largest probability"
    elif task.has_entropy:
        usual, name = split.entropy, "entropy of the probabilities"
    alarm = scores > threshold
    one, usual_one, both_one, difference, both_difference = auroc(failed, scores)[0], None, None, None, None
    if usual is not None:
        both = rankdata(scores) + rankdata(usual)
        usual_one, both_one = auroc(failed, usual, both)
        difference, both_difference = (auroc_difference(failed, each, usual) for each in (scores, both))
    return MonitorFigures(
        on=on,
        images=len(failed),
        failures=int(failed.sum()),
        monitor=one,
        usual=usual_one,
        usual_name=name,
        both=both_one,
        difference=difference,
        both_difference=both_difference,
        alarms=int((alarm & failed).sum()),
        false_alarms=int((alarm & ~failed).sum()),
    )
