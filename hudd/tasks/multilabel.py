"""Labels of which any number may apply to an image, each by a score of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hudd.data import ImageSource
from hudd.errors import UsageError
from hudd.language import marked
from hudd.lrp.heads import OutputScale, entropies, output_scale, probabilities
from hudd.tasks.choices import shown, thresholds
from hudd.tasks.numbers import Regression

_INDEPENDENT: dict[str, OutputScale] = {
    "logits": "independent probabilities",
    "independent probabilities": "independent probabilities",
    "independent log-probabilities": "independent log-probabilities",
}


class Multilabel(Regression):
    """A score for each label; an error is an image with a label that is wrong.

    A label is wrong by the probability that the DNN gives to what is not so, and counts above the threshold, 0.5 where
    none is given. The outcomes are "correct", and of every label that it was missed, or found where it is not.
    """

    columns = ("output", "entropy")
    has_entropy = True
    score = marked("error over threshold")
    may_lack = True
    part = marked("label")
    guesses = True
    losses = ("binary-cross-entropy",)

    @property
    def threshold(self) -> str:
        """From where on a label is wrong."""
        return self.subject.threshold or "0.5"

    def scale(self, model: torch.nn.Module, examples: torch.Tensor) -> str:
        """Return what the outputs are; refuse those that exclude each other.

        Raises
        ------
        UsageError
            If they are the probabilities of a softmax.
        """
        found = output_scale(model, examples)
        if found not in _INDEPENDENT:
            raise UsageError(
                f"the model's outputs are {found} of classes that exclude each other, no scores of labels; give "
                "`task='classification'`, or a model that returns a logit or a sigmoid for each label."
            )
        return found

    def check(self, output: torch.Tensor, sources: Mapping[str, ImageSource]) -> None:
        """Refuse what :class:`Regression` refuses, and a threshold that no label can be beyond."""
        super().check(output, sources)
        names = self.names(sources["test"])
        limits = thresholds(self.threshold, names, self.explained.rows(names), None)
        if (limits[np.isfinite(limits)] >= 1).any():
            raise UsageError(
                f"threshold is '{self.threshold}', and the error of a label is a probability; give a number between 0 "
                "and 1, such as 0.5."
            )

    def outcomes(self, source: ImageSource) -> list[str]:
        """Name "correct", and each label as missed and as found wrongly."""
        names = self.names(source)
        return [
            "correct",
            *(f"{name} missed" for name in names),
            *(f"{name} found wrongly" for name in names),
        ]

    def outcome(self, worst: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the number of the outcome where the label `worst` is wrong."""
        missed = truth[np.arange(len(worst)), worst] == 1
        number: np.ndarray = 1 + worst + np.where(missed, 0, truth.shape[1])
        return number

    def likely(self, output: np.ndarray) -> np.ndarray:
        """Return the label that the DNN is least certain of."""
        nearest: np.ndarray = np.abs(output - 0.5).argmin(axis=1)
        return nearest

    def read(self, kept: np.ndarray, scale: Any) -> dict[str, np.ndarray]:
        """Return the probability of each label, (N, K), and the entropy of all together."""
        output = kept.reshape(len(kept), -1).astype(np.float32)
        if scale == "logits":
            logits = output.astype(np.float64)
            output = np.exp(-np.logaddexp(0, -logits))
        known = _INDEPENDENT[scale]
        return {
            "output": probabilities(output, known).astype("f4"),
            "entropy": entropies(output, known).astype("f4"),
        }

    def loss(self, kind: str) -> Any:
        """Return the loss by its name: what it is of follows from the DNN."""
        return kind

    def figures(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return the threshold and the labels that are wrong most often."""
        limits = [one for one in facts["thresholds"] if one is not None]
        wrong = sorted(zip(facts["wrong"], facts["parts"]), reverse=True)[:4]
        most = ", ".join(f"{name} {share:.1%}" for share, name in wrong if share > 0)
        return {"threshold": f"{min(limits):.4g}", "labels wrong most often": most}

    def noted_errors(self, errors: np.ndarray, limits: np.ndarray) -> dict[str, Any]:
        """Return the share of the test images in which each label is wrong."""
        return {"wrong": [float(share) for share in (np.nan_to_num(errors) > limits).mean(axis=0)]}

    def _check_shape(self, output: torch.Tensor, names: Sequence[str]) -> None:
        shape = tuple(output.shape)
        if output.ndim > 2 or output[0].numel() != len(names):
            raise UsageError(
                f"the model returns {shape} for one image, and there are {len(names)} labels ({shown(names)}); name "
                "the column of every output, in order, with `targets`."
            )

    def _check_values(self, truth: np.ndarray, names: Sequence[str], source: ImageSource, split: str) -> None:
        other = np.isfinite(truth) & (truth != 0) & (truth != 1)
        if other.any():
            row, at = np.argwhere(other)[0]
            raise UsageError(
                f"label '{names[at]}' of '{source.paths[row]}' is {truth[row, at]:g}; give 1 where it applies, 0 where "
                "it does not, and nothing where that is not known; numbers to predict are of `task='regression'`."
            )
