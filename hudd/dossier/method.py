"""What a dossier says about how its figures came about, and how to get them again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hudd.dossier.content import Method
from hudd.evaluation.rates import FOLDS
from hudd.settings import StudySettings, fields_of
from hudd.summary import cautions
from hudd.text import printable
from hudd.version import __version__

if TYPE_CHECKING:
    from hudd.review.view import View

SETTINGS = "settings.json"

_COMMAND = (
    f"python -c \"import hudd, json; hudd.Study.create('study', **json.load(open('{SETTINGS}'))).run()\""
)
_LIMITS = (
    "Only conditions that occur in the given images can be found; nothing is said about those that do not occur.",
    "Rates are rates among these images, which need not be distributed like the operating domain; exposure is the "
    "share of images, not of driving time.",
    "A condition is a candidate: images that fulfil it fail more often. Whether it makes the DNN fail is for a person "
    "to find out.",
    "Whether a failure is hazardous is not assessed: a failure is an answer that differs from the label, or for "
    "numbers exceeds the threshold.",
    "Labels are taken as given; a wrong label counts as a failure.",
    "hudd is not qualified under any standard, and this dossier is evidence for experts to judge, not a safety case.",
)


def method_of(results: View, provenance: Mapping[str, Any]) -> Method:
    """Return method, limits, versions and the command that reproduces a study."""
    step = provenance["steps"].get("test/test", {})
    return Method(
        steps=_steps(results),
        limits=list(_LIMITS),
        cautions=[printable(text) for text in cautions(results)],
        versions={
            "hudd (study)": printable(provenance.get("hudd_version", "")),
            "hudd (dossier)": __version__,
            "torch": printable(step.get("torch_version", "")),
            "Python (dossier)": platform.python_version(),
            "machine": printable(step.get("machine", "")),
            "device": printable(step.get("device", "")),
        },
        command=_COMMAND,
        settings=_settings(results),
    )


def _steps(results: View) -> list[str]:
    preset, judged = results.settings.preset, results.has("splits/judge")
    counted = (
        "Failure rates are counted on the judge set, which chose neither causes nor labels."
        if judged
        else "Failure rates are counted on images that did not choose the rule: the test set is divided into "
        f"{FOLDS} parts, and each is counted by rules that were found on the others (cross-fitting)."
    )
    confirmed = (
        "A condition is confirmed where the DNN fails more often inside than outside (Fisher's exact test, one-sided, "
        "Holm-adjusted over conditions, p at most 0.05). Intervals are Wilson's, 95 %."
    )
    told = [
        f"The failures on the test set are clustered by what the DNN computes on them (preset {preset}); clusters that "
        "a permutation test does not set apart form a cause.",
        "For each cause a rule is searched that sets its failures apart from correctly classified images of the same "
        "classes, over the parameters of the data and measured attributes; p-values are of 999 permutations, adjusted "
        "over causes by the method of Benjamini and Hochberg.",
        f"{counted} {confirmed}",
    ]
    if results.has("retraining") and results.retraining:
        told.append(
            "A condition is mitigated by a retraining where, in every run, it fixed more images that fulfil the "
            "condition than it broke (McNemar's exact test, Holm-adjusted over conditions, p at most 0.05), and the "
            "retrained DNN does not fail more often inside than outside (Fisher's exact test, p above 0.05)."
        )
    return told


def _settings(results: View) -> dict[str, Any]:
    """Return the settings that differ from their defaults."""
    settings = json.loads(results.study.settings.to_json())
    fields = fields_of(StudySettings)
    return {name: value for name, value in settings.items() if value != _plain(fields[name].default)}


def _plain(value: Any) -> Any:
    """Return a default as JSON holds it."""
    return list(value) if isinstance(value, tuple) else value
