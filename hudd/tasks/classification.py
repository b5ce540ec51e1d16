"""One class an image: the class of the greatest output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.attributes import Attribute
from hudd.data.assignment import BY_NUMBER, check_outputs
from hudd.errors import HuddError, UsageError
from hudd.language import marked
from hudd.lazy import torch
from hudd.tasks.base import Judgement, Task, TaskSubject
from hudd.tasks.doubts import doubts
from hudd.tasks.losses import chosen_loss

if TYPE_CHECKING:
    from hudd.data import ImageSource
    from hudd.lrp.targets import Target
    from hudd.retraining import Predictions, TrainingConfig

_FEW = 20  # images, of which a classifier may well get none right


class Classification(Task):
    """One class an image; an error is an image whose greatest output is not its label's."""

    columns = ("prediction", "score", "entropy", "second", "margin")
    attributes = (
        Attribute("second", "class number of the second largest output, -1 of a single one"),
        Attribute("margin", "probability of the predicted class less that of the second"),
    )
    has_entropy = True
    has_classes = True
    score = marked("confidence")
    losses: tuple[str, ...] = ("cross-entropy",)

    def __init__(self, subject: TaskSubject) -> None:
        self._subject = subject

    def check(self, output: torch.Tensor, sources: Mapping[str, ImageSource]) -> None:
        """Refuse labels that cannot be tied to the outputs with certainty; see :meth:`Task.check`."""
        outputs, subject = self.count(output), self._subject
        names = subject.class_names
        if names is not None and len(names) != outputs:
            raise UsageError(
                f"{subject.named_by} {len(names)} names, and the model has {outputs} outputs; give the name of every "
                "output, in order, with `classes`."
            )
        for split, source in sources.items():
            if not len(source.labels):
                continue
            if split != "improvement" and source.labels.min() < 0:
                raise UsageError(_unlabelled(source, split))
            if source.assignment is not None:
                check_outputs(source.assignment, outputs, split)
            if source.labels.max() >= outputs:
                raise UsageError(
                    f"the {split} set has labels up to {source.labels.max()}, but the model has {outputs} outputs "
                    f"(0 to {outputs - 1}); give the model and the data of the same task."
                )

    def count(self, output: torch.Tensor) -> int:
        """Return the number of classes that a DNN with such an output tells apart; refuse one that is none."""
        return _count(output)

    def scale(self, model: torch.nn.Module, examples: torch.Tensor) -> str:
        """Return what the outputs are, see :func:`hudd.lrp.heads.output_scale`."""
        from hudd.lrp.heads import output_scale  # seconds, and results are read without it

        return output_scale(model, examples)

    def outcomes(self, source: ImageSource) -> list[str]:
        """Return the names of the classes."""
        return source.class_names

    def read(self, kept: np.ndarray, scale: Any) -> dict[str, np.ndarray]:
        """Return class, probability and entropy of each image, see :class:`hudd.retraining.Predictions`."""
        from hudd.retraining import Predictions  # seconds, and results are read without it

        found = Predictions(kept, scale)
        return {
            "prediction": found.prediction,
            "score": found.score.astype("f4"),
            "entropy": found.entropy.astype("f4"),
            "second": found.second,
            "margin": found.margin.astype("f4"),
        }

    def judge(
        self, columns: Mapping[str, np.ndarray], source: ImageSource, facts: Mapping[str, Any] | None
    ) -> Judgement:
        """Compare predictions with labels; a test set without any right one is refused unless names tie the two."""
        found = Judgement(source.labels, columns["prediction"], columns["score"], columns["entropy"])
        if facts is None and not self._subject.stated and self._subject.class_names is None:
            _check_any_right(found, source)
        return found

    def explain(self, numbers: torch.Tensor) -> Target:
        """Explain the outputs of these classes."""
        return numbers

    def about(self) -> str:
        """Return what is explained, in words."""
        return "the output of the predicted class"

    def training(self, options: Mapping[str, Any]) -> TrainingConfig:
        """Return how the DNN is retrained, by cross-entropy where no loss is given."""
        from hudd.retraining import TrainingConfig  # seconds, and results are read without it

        return TrainingConfig(**{**options, "loss": chosen_loss(options, self.losses)})

    def targets(self, source: ImageSource, labels: np.ndarray) -> np.ndarray:
        """Return the labels."""
        return labels

    def right(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray:
        """Compare predictions with labels."""
        right: np.ndarray = found.prediction == source.labels
        return right

    def cautions(self, label: np.ndarray, prediction: np.ndarray, names: Sequence[str]) -> list[str]:
        """Say where predictions are of one class, near chance, or better in another order of the classes."""
        return doubts(label, prediction, names)


def _count(output: torch.Tensor) -> int:
    """Return the number of classes that the model tells apart."""
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or output.shape[1] < 2:
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        remedy = ""
        if isinstance(output, torch.Tensor) and output.numel() == 1:
            remedy = "; one score for two classes is a task of its own, `task='binary'`"
        raise UsageError(
            f"the model returns {found} for one image; a classifier returns (1, classes){remedy}."
        )
    return int(output.shape[1])


def _check_any_right(found: Judgement, source: ImageSource) -> None:
    """Refuse a DNN that gets all images wrong where nothing but numbers ties its outputs to the labels."""
    how = source.assignment.how if source.assignment is not None else BY_NUMBER
    if how == BY_NUMBER and len(found.label) >= _FEW and not found.correct.any():
        raise HuddError(
            f"the DNN gets all {len(found.label):,} test images wrong, and nothing says that its outputs are classes: "
            "if they are numbers to predict, give `task='regression'` and their columns with `targets`; if they are "
            "classes, give `task='classification'`, or their names with `classes`."
        )


def _unlabelled(source: ImageSource, split: str) -> str:
    if source.without_labels:
        return f"{source.without_labels}: the {split} set needs labels."
    rows = (source.labels < 0).nonzero()[0]
    more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    return (
        f"'{source.paths[rows[0]]}'{more} of the {split} set has no label; label every image or leave it out."
    )
