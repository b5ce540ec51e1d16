"""Two classes by a single score: the second class where it is high, the first where it is low."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hudd.data import ImageSource
from hudd.errors import UsageError
from hudd.lrp.targets import Target, times
from hudd.retraining import Predictions
from hudd.tasks.base import TaskSubject
from hudd.tasks.classification import Classification


class Binary(Classification):
    """One of two classes; the DNN returns one score, a logit or a sigmoid's probability of the second class.

    That class is predicted above a probability of 0.5, or of the threshold. What is explained is the score for the
    predicted class: of the first class, the negative logit.
    """

    losses = ("binary-cross-entropy",)

    def __init__(self, subject: TaskSubject) -> None:
        super().__init__(subject)
        self._least = 0.5 if subject.threshold is None else _probability(subject.threshold)

    def mark(self) -> list[Any]:
        """Return what tells the task from a classification."""
        return [type(self).__name__, self._least]

    def count(self, output: torch.Tensor) -> int:
        """Return 2; refuse a DNN that returns more than one number."""
        if not isinstance(output, torch.Tensor) or output.numel() != 1:
            found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise UsageError(
                f"the model returns {found} for one image, and of two classes by a single score it returns one number; "
                "give `task='classification'` for an output of each class."
            )
        return 2

    def read(self, kept: np.ndarray, scale: Any) -> dict[str, np.ndarray]:
        """Return class, probability and entropy of each image."""
        pair = _pair(kept, scale)
        found = super().read(pair.output, pair.scale)
        second = pair.probability[:, 1]
        predicted = second > self._least
        score = np.where(predicted, second, 1 - second)
        return found | {
            "prediction": predicted.astype(np.int64),
            "second": (~predicted).astype(np.int64),
            "score": score.astype("f4"),
            "margin": (2 * score - 1).astype("f4"),
        }

    def explain(self, numbers: torch.Tensor) -> Target:
        """Explain the score for these classes, which of the first is the negative one."""
        sign = numbers.cpu() * 2 - 1

        def multiples(output: torch.Tensor) -> torch.Tensor:
            return sign.to(output).reshape(len(sign), *[1] * (output.ndim - 1)).expand_as(output).contiguous()

        return times(multiples)

    def targets(self, source: ImageSource, labels: np.ndarray) -> np.ndarray:
        """Return the labels as (N, 1) float32, NaN where unknown."""
        return np.where(labels >= 0, labels, np.nan).astype(np.float32)[:, None]

    def right(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray:
        """Compare predictions with labels."""
        right: np.ndarray = self.read(found.output, found.scale)["prediction"] == source.labels
        return right


def _pair(kept: np.ndarray, scale: Any) -> Predictions:
    """Return a score as those of two classes."""
    score = kept.reshape(len(kept), 1).astype(np.float64)
    if scale == "logits":
        return Predictions(np.concatenate([-score, score], axis=1) / 2)
    p = np.exp(score) if scale == "independent log-probabilities" else score
    return Predictions(np.concatenate([1 - p, p], axis=1), "probabilities")


def _probability(text: str) -> float:
    try:
        least = float(text)
    except ValueError:
        least = np.nan
    if not 0 < least < 1:
        raise UsageError(
            f"threshold is '{text}'; of two classes by a single score, give the probability above which the second "
            "class is predicted, between 0 and 1."
        )
    return least
