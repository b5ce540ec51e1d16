"""A study's results in a few figures: one JSON-able dict, and the lines that commands print."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from hudd.clustering.clusterers import is_counted
from hudd.evaluation import PairedChange
from hudd.evaluation.paired import paired_change
from hudd.features import feature_kind
from hudd.summary.causes import cause_facts, causes_table
from hudd.summary.cautions import assignment_line, cautions
from hudd.summary.changes import changes_table
from hudd.summary.cost import cost_of
from hudd.summary.errors import mean_errors
from hudd.summary.findings import Findings
from hudd.summary.judge import CHOSE, judge_table
from hudd.summary.severity import severity_of_errors, severity_text
from hudd.summary.tables import classes_table, clusters_table, layers_table, plain, records, retraining_table


def summarise(study: Findings) -> dict[str, Any]:
    """Return what has been found so far, a step a key; steps not taken are left out."""
    summary: dict[str, Any] = {
        "study": str(study.path),
        "model": study.settings.model,
        "task": study.task_name,
        "preset": study.settings.preset,
        "seed": study.settings.seed,
    }
    for split in ("test", "judge", "train", "improvement"):
        if study.has(f"splits/{split}"):
            summary[split] = _split(study, split)
    if study.has("splits/test"):
        summary["classes"] = {
            "taken": study.reading("test").get("how"),
            "outputs": records(classes_table(study)),
        }
        summary["cautions"] = cautions(study)
        if severity := severity_of_errors(study):
            summary["severity"] = severity.counts()
    if study.has("layers"):
        summary["layers"] = records(layers_table(study))
    if study.has("clusters"):
        summary["chosen_layer"] = study.chosen_layer
        summary["causes"] = records(causes_table(study))
        summary["clusters"] = records(clusters_table(study))
        summary["chosen_on"] = "test"
        summary["linked_from"] = _linked_from(study)
    if study.has("judge") and study.has("clusters"):
        summary["judge_causes"] = records(judge_table(study))
    if study.has("evaluation"):
        summary["evaluation"] = {
            k: plain(v) for k, v in study.evaluation.items() if isinstance(v, int | float | str)
        }
    if study.has("selection"):
        cost = cost_of(study, study.selection.image)
        summary["selection"] = {
            "images": len(study.selection),
            "labelled": cost.known,
            "errors": cost.errors,
            "groups": cost.groups,
        }
    if study.has("retraining"):
        summary["retraining"] = records(retraining_table(study))
        summary["changes"] = records(changes_table(study))
        for name, split in (("judge_mean_errors", "judge"), ("mean_errors", "test")):
            summary[name] = {mode: asdict(error) for mode, error in mean_errors(study, split).items()}
    return summary


def _split(study: Findings, name: str) -> dict[str, Any]:
    split = study.split(name)
    known = split.label >= 0
    result: dict[str, Any] = {"images": len(split.path), "labelled": int(known.sum())}
    if known.any():
        result["errors"] = int((known & ~split.correct).sum())
        result["accuracy"] = float(split.correct[known].mean())
    return result


_LINKED = {"matrix": "a matrix of all distances", "rows": "rows, without a matrix of distances"}


def _linked_from(study: Findings) -> str:
    """What the clusters of the chosen layer were made from: "matrix" or "rows"."""
    with study.file.reading() as h5:
        return str(h5[f"layers/{study.chosen_layer}/wicd"].attrs.get("linked_from", "matrix"))


def describe(study: Findings, step: str) -> str:
    """Say in a few words what a step has found."""
    if step == "test":
        test = _split(study, "test")
        return f"{1 - test['accuracy']:.1%} wrong: {test['errors']:,} of {test['images']:,} images"
    if step == "heatmaps":
        errors, chosen = f"{len(study.errors):,} errors", feature_kind(study.settings.choices.features)
        return f"{errors}{_everywhere(study)}" if chosen.layered else f"{chosen.alike} of {errors}"
    if step == "distances":
        count = len(study.errors)
        if not any(study.has(f"layers/{layer}/distance") for layer in study.layers):
            return f"none kept of {count:,} errors, which are linked from rows"
        return f"{count * (count - 1) // 2:,} pairs{_everywhere(study)}"
    if step == "cluster":
        return _clustered(study)
    if step == "select":
        images = len(study.split("improvement").path)
        return f"{len(study.selection):,} of {images:,} improvement images"
    if step == "retrain":
        judged = [f"{mode} {text} on the judge set" for mode, text in _retrained(study, judge=True).items()]
        tested = [f"{mode} {text}" for mode, text in _retrained(study).items()]
        return "; ".join([*judged, *(f"{text} on the test set" if judged else text for text in tested)])
    return ", ".join(_evaluated(study)) or "nothing is known about the images except their labels"


def _clustered(study: Findings) -> str:
    sizes, found = np.bincount(study.clusters.label)[1:], study.clustering_of(study.chosen_layer)
    where = f" at layer {study.chosen_layer}" if feature_kind(study.settings.choices.features).layered else ""
    noise, errors = unclustered(study), len(study.clusters.label)
    clusterer = str(study.settings.choices.clusterer)
    left = f"{clusterer.upper()} left {noise} of {errors} errors unclustered"
    if noise and noise == errors:
        return f"{left}; nothing can be selected; try --clusterer ward, which clusters them all"
    if noise:
        sizes = sizes[sizes > 1]
    told = f"{len(sizes)} clusters of {sizes.min()} to {sizes.max()} errors{where}"
    if noise:
        return f"{told}; {left}"
    if found.degenerate and len(sizes) < errors:
        told += (
            f"; they tell little: the errors fall together on {found.k} points; try another --layer or preset"
        )
    return told


def unclustered(study: Findings) -> int:
    """How many errors the clusterer left out as noise: each is a cluster of its own."""
    found = study.clustering_of(study.chosen_layer)
    if len(found.linkage) or is_counted(study.settings.choices.clusterer):
        return 0
    return int((np.bincount(study.clusters.label)[1:] == 1).sum())


def _everywhere(study: Findings) -> str:
    layers = len(study.layers)
    return (
        f" at {layers} layer{'s' * (layers != 1)}"
        if feature_kind(study.settings.choices.features).layered
        else ""
    )


def headline(study: Findings) -> dict[str, str]:
    """Return the figures that matter, by name, as text."""
    with study.file.sound():
        return _headline(study)


def _headline(study: Findings) -> dict[str, str]:
    test = _split(study, "test")
    pairs = {"task": study.task_name}
    pairs |= {"test errors": f"{test['errors']:,} of {test['images']:,} images ({1 - test['accuracy']:.1%})"}
    if study.has("splits/judge"):
        judge = _split(study, "judge")
        share = f"({1 - judge['accuracy']:.1%})"
        pairs["judge errors"] = (
            f"{judge['errors']:,} of {judge['images']:,} images {share}, which chose nothing"
        )
    if severity := severity_of_errors(study):
        pairs["errors by severity"] = severity_text(severity.counts())
    pairs |= study.task.figures(study.facts())
    labels = assignment_line(study)
    pairs |= {"labels matched": labels} if labels else {}
    if study.has("clusters"):
        sizes = np.unique(study.clusters.label, return_counts=True)[1]
        single = int((sizes == 1).sum())
        note = f", {single} of them a single error" if single else ""
        causes = cause_facts(study)
        common = sum(cause.common for cause in causes)
        rest = len(causes) - common
        pairs["root causes"] = f"{common}, and {rest} without a common cause" if rest else str(common)
        pairs["root-cause clusters"] = f"{len(sizes)} (largest {sizes.max()}{note})"
        if named := sum(map(bool, study.clusters.name)):
            pairs["named clusters"] = str(named)
        chosen = feature_kind(study.settings.choices.features)
        pairs |= {"chosen layer": study.chosen_layer} if chosen.layered else {"clustered by": chosen.alike}
        pairs["linked from"] = _LINKED[_linked_from(study)]
    for text in _evaluated(study):
        name, _, value = text.rpartition(" ")
        pairs[name] = value
    if study.has("selection"):
        labelled = int((study.labels[study.selection.image] >= 0).sum())
        images = len(study.split("improvement").path)
        note = "" if labelled == len(study.selection) else f", {labelled} labelled so far"
        pairs["unsafe images"] = f"{len(study.selection):,} of {images:,} in the improvement set{note}"
    pairs |= {f"judge accuracy, {mode}": text for mode, text in _retrained(study, judge=True).items()}
    pairs |= {f"accuracy, {mode}": f"{text}; {CHOSE}" for mode, text in _retrained(study).items()}
    pairs |= {f"judge mean error, {mode}": str(error) for mode, error in mean_errors(study, "judge").items()}
    pairs |= {f"mean error, {mode}": f"{error}; {CHOSE}" for mode, error in mean_errors(study).items()}
    return pairs


def _retrained(study: Findings, *, judge: bool = False) -> dict[str, str]:
    """What each mode's retrainings changed on the test set, or on the judge set where there is one.

    Of one run, with the interval of the difference and McNemar's test; of several, in how many it is beyond chance.
    """
    texts = {}
    for mode, made in study.retraining.items():
        runs = [run["judge"] for run in made if "judge" in run] if judge else made
        if not runs:
            continue
        before, after = (np.mean([run[f"accuracy_{when}"] for run in runs]) for when in ("before", "after"))
        improved, worsened = (np.mean([run[what] for run in runs]) for what in ("improved", "worsened"))
        tests = [paired_change(run["before"], run["after"]) for run in runs]
        texts[mode] = (
            f"{before:.2%} → {after:.2%} ({improved:.0f} fixed, {worsened:.0f} regressed{_tested(tests)})"
        )
    return texts


def _tested(runs: list[PairedChange]) -> str:
    """Say of one retraining how far its change is beyond chance, of several in how many of them it is."""
    if len(runs) > 1:
        better, worse = (
            sum(run.significant and sign * run.difference > 0 for run in runs) for sign in (-1, 1)
        )
        return f", mean of {len(runs)} runs: beyond chance better in {better}, worse in {worse}"
    low, high = runs[0].interval
    points = f"{-100 * runs[0].difference:+.1f} points, 95 % {-100 * high:+.1f} to {-100 * low:+.1f}"
    return f"; {points}, p = {runs[0].p_value:.2g}"


def _evaluated(study: Findings) -> list[str]:
    """Texts that end in their value."""
    found = study.evaluation if study.has("evaluation") else {}
    texts = []
    if "purity" in found and len(found["purity"]["cluster"]):
        counted, errors = found["purity"]["images"], len(study.errors)
        of = "" if counted == errors else f" of the {counted:,} errors of known cause"
        texts.append(f"purity{of} {found['purity']['weighted_purity']:.2f}")
        if not math.isnan(found["purity"]["coverage"]):
            texts.append(f"causes covered {found['purity']['coverage']:.0%}")
    if "variance" in found:
        chance = found["variance"].get("share_reduced_by_chance")
        note = "" if chance is None else f" (by chance {chance:.0%})"
        share = found["variance"]["share_reduced_by_half"]
        texts.append(f"clusters with a parameter's variance halved{note} {share:.0%}")
    return texts
