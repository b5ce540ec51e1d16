"""The first page of the report: the causes, each with pictures, figures, words and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hudd.language import gettext as _
from hudd.language import ngettext
from hudd.report.chapters import Card, Chapter
from hudd.report.facts import Facts
from hudd.review.decisions import Decision, saved_decisions
from hudd.review.view import View
from hudd.summary import CauseFacts, cause_facts
from hudd.summary.changes import GroupChange, RunChange, run_changes
from hudd.summary.conditions import cause_identifiers

_PICTURES = 6


@dataclass(frozen=True)
class CauseEntry:
    """A cause as the page shows it.

    ``cards`` are a row of pictures, ``change`` is what became of its images by retraining, ``action`` what to do next,
    ``identifier`` names it as a triggering condition, ``decision`` is what people decided about it.
    """

    facts: CauseFacts
    cards: list[Card]
    chapters: list[Chapter]
    change: GroupChange | None
    action: str
    identifier: str
    decision: Decision | None


def first_change(study: View, facts: Facts) -> RunChange | None:
    """Return what the first run of the first strategy changed, whose weights are kept; None without a retraining."""
    modes = [retrained.mode for retrained in facts.retrained]
    return next((one for one in run_changes(study) if one.mode == modes[0]), None) if modes else None


def entries(
    study: View, facts: Facts, chapters: Sequence[Chapter], change: RunChange | None
) -> list[CauseEntry]:
    """Return the causes in order: those with something in common first, larger ones before smaller ones."""
    by_label = {chapter.cluster.label: chapter for chapter in chapters}
    mode = facts.retrained[0].mode if facts.retrained else ""
    names, decisions = cause_identifiers(study), saved_decisions(study.path)
    found = []
    for cause in cause_facts(study, mode):
        own = [by_label[label] for label in cause.clusters if label in by_label]
        if own:
            group = change.cause(cause.number) if change else None
            action, name = _action(cause, own, group, facts), names[cause.number]
            found.append(CauseEntry(cause, _row(own), own, group, action, name, decisions.get(name)))
    return found


def why(study: View, count: int) -> str:
    """Say how the number of causes was found."""
    causes = study.causes
    if len(causes.medoid) == len(study.clusters.numbers) and np.isnan(causes.p_apart).all():
        return _("Each cluster counts as a cause of its own: nothing was tested above the clusters.")
    return ngettext(
        "{count} cause is what is left when clusters are joined that no clear split of the dendrogram sets apart: a "
        "split counts where a single Gaussian with the same spread is rarely split as clearly, or where one below it "
        "counts. Causes that a single condition on a parameter describes equally well are joined.",
        "{count} causes are what is left when clusters are joined that no clear split of the dendrogram sets apart: a "
        "split counts where a single Gaussian with the same spread is rarely split as clearly, or where one below it "
        "counts. Causes that a single condition on a parameter describes equally well are joined.",
        count,
    ).format(count=count)


def _row(chapters: Sequence[Chapter]) -> list[Card]:
    """Medoids of the largest clusters; where these are few, more members of each in turn."""
    cards: list[Card] = []
    for place in range(_PICTURES):
        cards += [chapter.cards[place] for chapter in chapters if place < len(chapter.cards)]
        if len(cards) >= _PICTURES:
            break
    return cards[:_PICTURES]


def _action(cause: CauseFacts, chapters: Sequence[Chapter], change: GroupChange | None, facts: Facts) -> str:
    selected = sum(len(chapter.cluster.unsafe) for chapter in chapters)
    if not cause.common:
        return _("Look at single images: these errors have nothing in common that was found.")
    wrong, left = (change.failures, change.failures - change.fixed) if change else (0, 0)
    if wrong and left <= 0.2 * wrong:
        return _("Mostly fixed: check the images that regressed.")
    images = _("images where {rule}").format(rule=cause.rule) if cause.rule else _("images like these")
    if wrong:
        told = _("Collect more {images}: {left} of {wrong} are still wrong after retraining.")
        return told.format(images=images, left=f"{left:,}", wrong=f"{wrong:,}")
    if selected:
        told = ngettext("Label its {count} selected image.", "Label its {count} selected images.", selected)
        return told.format(count=f"{selected:,}")
    if facts.unsafe is not None:
        return _("Collect {images}: none in the improvement set was selected for it.").format(images=images)
    return _("Collect {images}.").format(images=images)
