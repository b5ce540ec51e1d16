"""What to know before believing a study's error rate: labels, weights, and images that sets share."""

from __future__ import annotations

from typing import Any

import numpy as np

from hudd.attributes.sample import AS_DRAWN, AS_ERROR
from hudd.data.overlap import Overlap
from hudd.errors import UsageError
from hudd.language import gettext as _
from hudd.language import marked, ngettext
from hudd.summary.findings import Findings
from hudd.summary.severity import levels_of, severities_of

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
        *_about_severity(study),
        *_about_measuring(split.measured),
    ]


def assignment_line(study: Findings) -> str:
    """Say in a line how labels were taken for outputs; "" where the study does not know."""
    how = study.reading("test").get("how")
    if not how:
        return ""
    names = study.class_names
    shown = ", ".join(f"{output} = {name}" for output, name in enumerate(names[:_SHOWN]))
    last = f", ..., {len(names) - 1} = {names[-1]}" if len(names) > _SHOWN else ""
    return f"{_(how)}: {shown}{last}"


def _about_severity(study: Findings) -> list[str]:
    try:
        if wanted := levels_of(study):
            severities_of(study, wanted)
    except UsageError as error:
        return [_("severity is not told: {reason}").format(reason=error)]
    return []


def _about_measuring(measured: np.ndarray | None) -> list[str]:
    if measured is None:
        return []
    text = _(
        "attributes of {measured} of {images} test images were measured: {drawn} drawn at random, on which rules are "
        "counted, and {errors} errors besides."
    )
    drawn, errors = (int((measured == kind).sum()) for kind in (AS_DRAWN, AS_ERROR))
    counts = {"measured": drawn + errors, "images": len(measured), "drawn": drawn, "errors": errors}
    return [text.format(**{name: f"{count:,}" for name, count in counts.items()})]


def _about_weights(study: Findings) -> list[str]:
    if not study.reading("test").get("untrained"):
        return []
    return [
        _(
            "no weights were given and the factory loads none: are the DNN's parameters random? --weights gives them."
        )
    ]


def _about_overlap(found: Overlap) -> list[str]:
    told = []
    for shared in found.shared:
        a, b = shared.sets
        if shared.same:
            text = ngettext(
                "{count} of the {a} images is also in the {b} set, pixel by pixel: {pairs}.",
                "{count} of the {a} images are also in the {b} set, pixel by pixel: {pairs}.",
                shared.same,
            )
            told.append(text.format(count=f"{shared.same:,}", a=_(a), b=_(b), pairs=_pairs(shared.pairs)))
        if shared.alike:
            text = ngettext(
                "{count} of {compared} {a} images compared looks like {b} images: {pairs}.",
                "{count} of {compared} {a} images compared look like {b} images: {pairs}.",
                shared.alike,
            )
            alike, compared = f"{shared.alike:,}", f"{shared.compared:,}"
            pairs = _pairs(shared.alike_pairs)
            told.append(text.format(count=alike, compared=compared, a=_(a), b=_(b), pairs=pairs))
    for name, count in found.doubles.items():
        text = _("{count} images of the {name} set are copies of others in it.")
        told.append(text.format(count=f"{count:,}", name=_(name)))
    if found.contradicting:
        one, label, other, other_label = found.contradictions[0]
        text = _(
            "{count} images have copies with other labels, such as '{one}' ('{label}') and '{other}' ('{other_label}')."
        )
        copied = f"{found.contradicting:,}"
        told.append(text.format(count=copied, one=one, label=label, other=other, other_label=other_label))
    return told


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(_("'{a}' and '{b}'").format(a=a, b=b) for a, b in pairs[:_SHOWN])


def _about_reading(study: Findings) -> list[str]:
    told: list[str] = []
    for name in (marked("test"), marked("judge"), marked("train"), marked("improvement")):
        if not study.has(f"splits/{name}"):
            continue
        reading: dict[str, Any] = study.reading(name)
        of_set = _("{name} set: {remark}")
        told += [of_set.format(name=_(name), remark=remark) for remark in reading.get("remarks", [])]
        skipped = reading.get("skipped", [])
        if skipped:
            first = ", ".join(f"'{path}'" for path, why in skipped[:_SHOWN])
            more = ", ..." if len(skipped) > _SHOWN else ""
            text = _("{count} images cannot be decoded and were left out: {paths}.")
            remark = text.format(count=f"{len(skipped):,}", paths=first + more)
            told.append(of_set.format(name=_(name), remark=remark))
    return told
