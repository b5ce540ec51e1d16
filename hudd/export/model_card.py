"""A section for a model card, as Hugging Face and others keep it in a README: what the DNN gets wrong, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hudd.errors import HuddError
from hudd.export.base import Exporter
from hudd.summary import cause_facts, cautions
from hudd.text import percent, printable
from hudd.version import __version__

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path) -> list[Path]:
    """Write ``model-card.md``: the error rate, a row for every cause, and what casts doubt on these figures.

    Where the task has classes it begins with the metadata ``model-index``, from which model hubs show the accuracy.
    """
    if not results.has("clusters"):
        raise HuddError(f"'{results.path}' has no clusters yet; 'hudd cluster {results.path}' makes them.")
    text = "\n".join([*_metadata(results), *known_failures(results)])
    path = folder / "model-card.md"
    path.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))
    return [path]


def _metadata(results: View) -> list[str]:
    """Return the model's accuracy as YAML, whose texts are written as JSON has them."""
    test = results.split("test")
    known = test.label >= 0
    if not (results.task.has_classes and known.any()):
        return []
    name = json.dumps(printable(Path(results.settings.model).name))
    return [
        "---",
        "model-index:",
        f"- name: {name}",
        "  results:",
        "  - task:",
        "      type: image-classification",
        "    dataset:",
        "      name: test set",
        "      type: image-folder",
        "    metrics:",
        "    - type: accuracy",
        f"      value: {float(test.correct[known].mean()):.6f}",
        "---",
        "",
    ]


def known_failures(results: View) -> list[str]:
    """Return a section in Markdown: the error rate, a row for every cause, what casts doubt on them."""
    test = results.split("test")
    wrong, known = len(results.errors), int((test.label >= 0).sum())
    lines = ["## Known failures", ""]
    lines += [f"Of {known:,} test images {wrong:,} are wrong ({percent(wrong / known)}).", ""]
    found = cause_facts(results)
    lines.append("| cause | errors | share of all errors (95 %) | where it holds | failures there |")
    lines.append("| --- | ---: | --- | --- | --- |")
    for cause in found:
        low, high = cause.interval
        failures = f"{cause.rate.failures:,} of {cause.rate.images:,} images" if cause.rate else ""
        share = f"{percent(cause.share)} ({percent(low)} to {percent(high)})"
        name = cause.name if cause.common else f"{cause.name} (no common cause)"
        rule = f"{cause.rule} (not confirmed)" if cause.unconfirmed else cause.rule
        cells = [name, f"{len(cause.rows):,}", share, rule, failures]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    if counted := next((cause.counted for cause in found if cause.rate), ""):
        lines += ["", f"Failures where a rule holds are counted on {counted}."]
    if doubts := cautions(results):
        lines += [
            "",
            "### What to know before believing these figures",
            "",
            *(f"- {_cell(doubt)}" for doubt in doubts),
        ]
    made = f"Found by hudd {__version__} (preset {results.settings.preset}) on the images that the model gets wrong."
    return [*lines, "", _cell(made)]


def _cell(text: object) -> str:
    """Return a text as one line of Markdown that stays one cell of a table, without markup or HTML in it."""
    told = (
        printable(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    )
    for mark in "|`*_[]#":
        told = told.replace(mark, f"\\{mark}")
    return told


MODEL_CARD = Exporter("model-card", _write, folder="model-card")
