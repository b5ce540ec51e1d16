"""What to know before believing a study's error rate: labels, weights, and images that sets share."""

from __future__ import annotations

from typing import Any

from hudd.data.overlap import Overlap
from hudd.summary.findings import Findings

_SHOWN = 3


def cautions(study: Findings) -> list[str]:
    """Return what casts doubt on the error rate of the test set, a sentence each; the gravest first."""
    if not study.has("splits/test"):
        return []
    split = study.split("test")
    return [
        *_about_weights(study),
        *study.task.cautions(split.label, split.prediction, study.class_names),
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
            look = "looks" if shared.alike == 1 else "look"
            told.append(
                f"{shared.alike:,} of {shared.compared:,} {a} images compared {look} like {b} images: "
                f"{_pairs(shared.alike_pairs)}."
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
    for name in ("test", "judge", "train", "improvement"):
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
