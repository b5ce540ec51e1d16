"""What to know before believing a study's error rate: labels, weights, and images that sets share."""

from __future__ import annotations

from typing import Any

import numpy as np

from hudd.data.overlap import Overlap
from hudd.summary.findings import Findings, Split

_SIGNIFICANT = 0.01  # chance of as good an accuracy where predictions have nothing to do with labels
_ONE_CLASS = (
    0.95  # share of the predictions that a class has where it is said to be predicted for nearly everything
)
_MOST_CLASSES = 2000  # for which another order of the outputs is looked for
_BETTER = 0.3  # accuracy that another order must win to be told
_SHOWN = 3


def cautions(study: Findings) -> list[str]:
    """Return what casts doubt on the error rate of the test set, a sentence each; the gravest first."""
    if not study.has("splits/test"):
        return []
    return [
        *_about_weights(study),
        *_about_predictions(study),
        *_about_overlap(study.overlap),
        *_about_reading(study),
    ]


def assignment_line(study: Findings) -> str:
    """Say in a line how labels were taken for outputs; "" where the study does not know."""
    how = study.reading("test").get("how")
    if not how:
        return ""
    names = study.class_names
    shown = ", ".join(f"{output} = {name}" for output, name in enumerate(names[:_SHOWN]))
    last = f", ..., {len(names) - 1} = {names[-1]}" if len(names) > _SHOWN else ""
    return f"{how}: {shown}{last}"


def _about_weights(study: Findings) -> list[str]:
    if not study.reading("test").get("untrained"):
        return []
    return [
        "no weights were given and the factory loads none: are the DNN's parameters random? --weights gives them."
    ]


def _about_predictions(study: Findings) -> list[str]:
    split = study.split("test")
    label, prediction = split.label, split.prediction
    if not len(label):
        return []
    accuracy, told = float(split.correct.mean()), []
    labels, predictions = np.bincount(np.maximum(label, 0)), np.bincount(prediction)
    of_chance = _by_chance(labels, predictions)
    commonest = int(predictions.argmax())
    share, names = predictions[commonest] / len(prediction), study.class_names
    name = names[commonest] if commonest < len(names) else str(commonest)
    if len(np.flatnonzero(labels)) == 1:
        told.append(f"all {len(label):,} test images have one label, so the error rate is that of one class.")
    elif len(np.flatnonzero(predictions)) == 1:
        told.append(f"the DNN predicts '{name}' for every test image.")
    elif share >= _ONE_CLASS and (label == commonest).mean() < share - (1 - _ONE_CLASS):
        told.append(f"the DNN predicts '{name}' for {share:.1%} of the test images.")
    if len(np.flatnonzero(labels)) > 1 and _is_chance(accuracy, of_chance, len(label)):
        told.append(
            f"{accuracy:.1%} correct is near chance ({of_chance:.1%}): check weights, transform and "
            "the order of the classes."
        )
    return [*told, *_other_order(split, accuracy)]


def _by_chance(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Return the accuracy of predictions of these frequencies that have nothing to do with the labels."""
    most = min(len(labels), len(predictions))
    return float((labels[:most] / labels.sum() * (predictions[:most] / predictions.sum())).sum())


def _is_chance(accuracy: float, of_chance: float, count: int) -> bool:
    from scipy.stats import binom

    return bool(binom.sf(round(accuracy * count) - 1, count, of_chance) > _SIGNIFICANT)


def _other_order(split: Split, accuracy: float) -> list[str]:
    """Say where another order of the outputs would make most predictions right: then the labels are not theirs."""
    count = int(max(split.label.max(), split.prediction.max())) + 1
    if not 1 < count <= _MOST_CLASSES or len(split.label) < 5 * len(np.unique(split.label)):
        return []
    from scipy.optimize import linear_sum_assignment

    pairs = np.bincount(np.maximum(split.label, 0) * count + split.prediction, minlength=count * count)
    confusion = pairs.reshape(count, count)
    best = confusion[linear_sum_assignment(confusion, maximize=True)].sum() / len(split.label)
    if best < accuracy + _BETTER:
        return []
    return [
        f"in another order of the classes {best:.1%} would be correct, not {accuracy:.1%}: the labels are likely not "
        "those of the outputs; --classes gives the names in the order of the outputs."
    ]


def _about_overlap(found: Overlap) -> list[str]:
    told = []
    for shared in found.shared:
        a, b = shared.sets
        if shared.same:
            be = "is" if shared.same == 1 else "are"
            told.append(
                f"{shared.same:,} of the {a} images {be} also in the {b} set, pixel by pixel: {_pairs(shared.pairs)}."
            )
        if shared.alike:
            of = f" of {shared.compared:,} compared"
            told.append(
                f"{shared.alike:,} {a} images{of} look like {b} images: {_pairs(shared.alike_pairs)}."
            )
    for name, count in found.doubles.items():
        told.append(f"{count:,} images of the {name} set are copies of others in it.")
    if found.contradicting:
        one, label, other, other_label = found.contradictions[0]
        told.append(
            f"{found.contradicting:,} images have copies with other labels, such as '{one}' ('{label}') and '{other}' "
            f"('{other_label}')."
        )
    return told


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"'{a}' and '{b}'" for a, b in pairs[:_SHOWN])


def _about_reading(study: Findings) -> list[str]:
    told: list[str] = []
    for name in ("test", "train", "improvement"):
        if not study.has(f"splits/{name}"):
            continue
        reading: dict[str, Any] = study.reading(name)
        told += [f"{name} set: {remark}" for remark in reading.get("remarks", [])]
        skipped = reading.get("skipped", [])
        if skipped:
            first = ", ".join(f"'{path}'" for path, _ in skipped[:_SHOWN])
            more = ", ..." if len(skipped) > _SHOWN else ""
            told.append(
                f"{name} set: {len(skipped):,} images cannot be decoded and were left out: {first}{more}."
            )
    return told
