"""What casts doubt on a classifier's error rate: predictions of one class, near chance, or better in another order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hudd.language import gettext as _
from hudd.lazy import special

_SIGNIFICANT = 0.01  # chance of as good an accuracy where predictions have nothing to do with labels
_ONE_CLASS = (
    0.95  # share of the predictions that a class has where it is told to be predicted for nearly everything
)
_MOST_CLASSES = 2000  # for which another order of the outputs is looked for
_BETTER = 0.3  # accuracy that another order must win to be told


def doubts(label: np.ndarray, prediction: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return what casts doubt on predictions of classes, (N,) int64, for labels, (N,) int64, a sentence each."""
    if not len(label):
        return []
    accuracy, told = float((prediction == label).mean()), []
    labels, predictions = np.bincount(np.maximum(label, 0)), np.bincount(prediction)
    of_chance = _by_chance(labels, predictions)
    commonest = int(predictions.argmax())
    share = predictions[commonest] / len(prediction)
    name = names[commonest] if commonest < len(names) else str(commonest)
    if len(np.flatnonzero(labels)) == 1:
        text = _("all {count} test images have one label, so the error rate is that of one class.")
        told.append(text.format(count=f"{len(label):,}"))
    elif len(np.flatnonzero(predictions)) == 1:
        told.append(_("the DNN predicts '{name}' for every test image.").format(name=name))
    elif share >= _ONE_CLASS and (label == commonest).mean() < share - (1 - _ONE_CLASS):
        text = _("the DNN predicts '{name}' for {share} of the test images.")
        told.append(text.format(name=name, share=f"{share:.1%}"))
    if len(np.flatnonzero(labels)) > 1 and _is_chance(accuracy, of_chance, len(label)):
        text = _(
            "{share} correct is near chance ({chance}): check weights, transform and the order of the classes."
        )
        told.append(text.format(share=f"{accuracy:.1%}", chance=f"{of_chance:.1%}"))
    return [*told, *_other_order(label, prediction, accuracy)]


def _by_chance(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Return the accuracy of predictions of these frequencies that have nothing to do with the labels."""
    most = min(len(labels), len(predictions))
    return float((labels[:most] / labels.sum() * (predictions[:most] / predictions.sum())).sum())


def _is_chance(accuracy: float, of_chance: float, count: int) -> bool:
    above = accuracy - of_chance
    if (
        above > 0 and math.exp(-2 * count * above**2) <= _SIGNIFICANT
    ):  # Hoeffding's bound spares loading SciPy
        return False
    by_chance = 1.0 if not accuracy else special.bdtrc(round(accuracy * count) - 1, count, of_chance)
    return bool(by_chance > _SIGNIFICANT)


def _other_order(label: np.ndarray, prediction: np.ndarray, accuracy: float) -> list[str]:
    """Say where another order of the outputs would make most predictions right: then the labels are not theirs."""
    count = int(max(label.max(), prediction.max())) + 1
    if not 1 < count <= _MOST_CLASSES or len(label) < 5 * len(np.unique(label)):
        return []
    pairs = np.bincount(np.maximum(label, 0) * count + prediction, minlength=count * count)
    confusion = pairs.reshape(count, count)
    most = min(confusion.max(axis=axis).sum() for axis in (0, 1)) / len(label)
    if most < accuracy + _BETTER:  # no order can be better; that spares loading what finds the best one
        return []
    from scipy.optimize import linear_sum_assignment

    best = confusion[linear_sum_assignment(confusion, maximize=True)].sum() / len(label)
    if best < accuracy + _BETTER:
        return []
    text = _(
        "in another order of the classes {best} would be correct, not {share}: the labels are likely not those of the "
        "outputs; 'hudd run STUDY --classes NAMES' takes the names in the order of the outputs."
    )
    return [text.format(best=f"{best:.1%}", share=f"{accuracy:.1%}")]
