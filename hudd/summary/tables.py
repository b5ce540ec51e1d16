"""A study's results as tables."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from hudd.errors import UsageError
from hudd.evaluation import SIGNIFICANT, format_range, is_known, most_telling
from hudd.summary.causes import causes_table
from hudd.summary.changes import changes_table
from hudd.summary.errors import parts_table
from hudd.summary.findings import Findings
from hudd.summary.judge import judge_table, judged


def classes_table(study: Findings) -> pd.DataFrame:
    """One row an output: its class, the labels as written, images of the test set and how often it is predicted."""
    split, names, reading = study.split("test"), study.class_names, study.reading("test")
    count = max(len(names), int(split.label.max(initial=-1)) + 1, int(split.prediction.max(initial=-1)) + 1)
    written: list[list[str]] = [[] for _ in range(count)]
    for text, output in zip(reading.get("written", []), reading.get("outputs", [])):
        if 0 <= output < count:
            written[output].append(text)
    known = split.label >= 0
    return pd.DataFrame(
        {
            "output": np.arange(count),
            "class": [names[output] if output < len(names) else "" for output in range(count)],
            "written": [", ".join(texts) for texts in written],
            "images": np.bincount(split.label[known], minlength=count),
            "correct": np.bincount(split.label[known & split.correct], minlength=count),
            "predicted": np.bincount(split.prediction, minlength=count),
        }
    )


def errors_table(study: Findings) -> pd.DataFrame:
    """One row per error: path, label, prediction, score, cluster where there is one, parameters."""
    split, rows, names = study.split("test"), study.errors, np.array(study.class_names, dtype=object)
    columns: dict[str, Any] = {
        "path": np.array(split.path, dtype=object)[rows],
        "label": names[split.label[rows]],
        "prediction": _named(split.prediction[rows], names),
        "score": split.score[rows],
    }
    if study.has("clusters"):
        clusters = study.clusters
        columns["cluster"] = clusters.label
        columns |= _names(study, clusters.label)
        columns["medoid"] = np.isin(np.arange(len(rows)), clusters.medoid)
    columns.update({name: values[rows] for name, values in split.parameters.items() if name not in columns})
    return pd.DataFrame(columns)


def _names(study: Findings, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the column of the names of clusters, where they have been reviewed."""
    clusters = study.clusters
    given = [clusters.name_of(number) for number in numbers.tolist()]
    return {"cluster_name": np.array(given, object)} if clusters.name else {}


def layers_table(study: Findings) -> pd.DataFrame:
    """One row per layer: heatmap shape, number of clusters, scaled and plain WICD, whether it was chosen."""
    chosen = study.chosen_layer if study.has("clusters") else None
    rows = []
    for layer in study.layers:
        shape = "x".join(map(str, study.heatmap_shape(layer)))
        row: dict[str, Any] = {"layer": layer, "heatmap": shape}
        if study.has(f"layers/{layer}/linkage"):
            found = study.clustering_of(layer)
            row.update(
                clusters=found.k, scaled_wicd=found.scaled_wicd, wicd=found.wicd, chosen=layer == chosen
            )
        rows.append(row)
    return pd.DataFrame(rows)


def clusters_table(study: Findings) -> pd.DataFrame:
    """One row a root-cause cluster, largest first: size, commonest confusion, medoid, unsafe images."""
    errors, clusters = errors_table(study), study.clusters
    unsafe = study.selection.cluster if study.has("selection") else np.empty(0, np.int64)
    rows = []
    for label in clusters.numbers:
        members = errors[clusters.label == label]
        confusion = (members["label"] + " → " + members["prediction"]).mode()
        row = {
            "cluster": label,
            **({"name": clusters.name_of(label)} if clusters.name else {}),
            "size": len(members),
            "commonest": confusion.iloc[0] if len(confusion) else "",
            "share": float((members["label"] + " → " + members["prediction"] == confusion.iloc[0]).mean()),
            "medoid": errors["path"].iloc[clusters.medoid[label - 1]],
            "unsafe": int((unsafe == label).sum()),
        }
        if "cause" in errors:
            causes = members["cause"][is_known(members["cause"].to_numpy())].value_counts()
            row["cause"] = str(causes.index[0]) if len(causes) else ""
            row["purity"] = float(causes.iloc[0] / causes.sum()) if len(causes) else math.nan
        rows.append(row)
    return pd.DataFrame(rows).sort_values("size", ascending=False, kind="stable", ignore_index=True)


def selection_table(study: Findings) -> pd.DataFrame:
    """One row an image of the unsafe set: path, cluster, distance, what the DNN says, the label if known."""
    unsafe, split = study.selection, study.split("improvement")
    names, labels = np.array(study.class_names, dtype=object), study.labels
    return pd.DataFrame(
        {
            "path": np.array(split.path, dtype=object)[unsafe.image],
            "cluster": unsafe.cluster,
            **_names(study, unsafe.cluster),
            "distance": unsafe.distance,
            "rank": unsafe.rank,
            "outside": unsafe.outside,
            "prediction": _named(split.prediction[unsafe.image], names),
            "label": _named(labels[unsafe.image], names),
        }
    )


def retraining_table(study: Findings) -> pd.DataFrame:
    """One row per retraining, judge set first: images labelled and trusted, accuracy, images improved and worsened."""
    columns = ("accuracy_before", "accuracy_after", "improved", "worsened", "best_epoch")
    rows = [
        {
            "mode": mode,
            "run": number,
            "images": len(np.unique(run["bag"])),
            "trusted": run.get("trusted", 0),  # absent before there were any
            **judged(run),
            **{c: run[c] for c in columns},
        }
        for mode, runs in study.retraining.items()
        for number, run in enumerate(runs)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["mode", "run", "images", "trusted", *columns])


def evaluation_table(study: Findings) -> pd.DataFrame:
    """One row a cluster of two or more: its most telling parameter, purity and rule, as far as known.

    The parameter is one whose variance is at least halved, of the cluster's rule if there is such a one. A
    parameter or rule that chance finds as well (p above 0.05) is left out.
    """
    found = study.evaluation
    sizes = pd.Series(study.clusters.label).value_counts()
    table = pd.DataFrame({"size": sizes[sizes > 1].sort_index()}).rename_axis("cluster")
    for name, values in _names(study, table.index.to_numpy()).items():
        table[name] = values
    if "variance" in found:
        variance = found["variance"]
        named, names = in_rules(found), np.array(variance["parameter"], dtype=object)
        best = most_telling(variance["reduction"], variance["shift"], named)[:, :1]
        reduced, ruled = (np.take_along_axis(a, best, 1)[:, 0] for a in (variance["reduction"], named))
        told = pd.Series(
            (reduced > 0.5) & (ruled | (variance["p_value"] <= SIGNIFICANT)), variance["cluster"]
        )
        first = pd.Series(names[best[:, 0]], variance["cluster"])[told]
        table["parameter"] = first
        table["variance_reduction"] = pd.Series(reduced, variance["cluster"])[told]
        table["range"] = pd.Series(_ranges(found.get("ranges", {}), first), dtype=object)
    if "purity" in found:
        table["cause"] = pd.Series(found["purity"]["majority"], found["purity"]["cluster"])
        table["purity"] = pd.Series(found["purity"]["purity"], found["purity"]["cluster"])
    if "rules" in found:
        figures = found["rules"]
        for name, column in {"rule": "text", "f1": "f1", "p_value": "p_value"}.items():
            told = figures["p_value"] <= SIGNIFICANT
            table[name] = pd.Series(figures[column], figures["cluster"])[told]
    return table.sort_values("size", ascending=False, kind="stable").reset_index()


def in_rules(found: dict[str, Any]) -> np.ndarray:
    """Say which parameters of an evaluation are in a cluster's rule that is better than chance's, (k, p) bool."""
    variance, rules = found["variance"], found.get("rules", {})
    columns = (rules.get(name, ()) for name in ("cluster", "p_value", "parameters"))
    named = {
        int(cluster): json.loads(parameters)
        for cluster, p_value, parameters in zip(*columns)
        if p_value <= SIGNIFICANT
    }
    rows = [np.isin(variance["parameter"], named.get(int(cluster), [])) for cluster in variance["cluster"]]
    return np.array(rows, bool).reshape(variance["reduction"].shape)


def _ranges(ranges: dict[str, Any], parameter: pd.Series) -> dict[int, str]:
    """Cluster to the range of its parameter."""
    columns = [ranges.get(name, ()) for name in ("cluster", "parameter", "low", "high")]
    return {
        int(cluster): f"{name} {format_range(low, high)}"
        for cluster, name, low, high in zip(*columns)
        if parameter.get(cluster) == name
    }


def steps_table(study: Findings) -> pd.DataFrame:
    """One row per step taken: when, for how long, by which versions and on what machine."""
    steps = sorted(study.provenance["steps"].items(), key=lambda item: str(item[1].get("finished")))
    columns = (
        "finished",
        "seconds",
        "hudd_version",
        "torch_version",
        "threads",
        "processes",
        "device",
        "machine",
    )
    return pd.DataFrame([{"step": name, **{c: step.get(c) for c in columns}} for name, step in steps])


TABLES = {
    "classes": (classes_table, "splits/test"),
    "errors": (errors_table, "splits/test"),
    "layers": (layers_table, "layers"),
    "causes": (causes_table, "clusters"),
    "clusters": (clusters_table, "clusters"),
    "selection": (selection_table, "selection"),
    "judge": (judge_table, "judge"),
    "retraining": (retraining_table, "retraining"),
    "changes": (changes_table, "retraining"),
    "parts": (parts_table, "splits/test/values/off"),
    "evaluation": (evaluation_table, "evaluation"),
    "steps": (steps_table, "steps"),
}


def table(study: Findings, name: str) -> pd.DataFrame:
    """Return a table by name.

    Raises
    ------
    UsageError
        If there is no table of that name.
    HuddError
        If the step that it tells about has not been taken.
    """
    if name not in TABLES:
        raise UsageError(f"table '{name}' is unknown; choose one of: {', '.join(TABLES)}.")
    return TABLES[name][0](study)


def available_tables(study: Findings) -> list[str]:
    """Return the names of the tables that the study can fill by now."""
    return [name for name, (_, needs) in TABLES.items() if study.has(needs)]


def _named(numbers: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Class names; the number itself where the data have no name for it, nothing where it is unknown."""
    named = [names[n] if 0 <= n < len(names) else str(n) if n >= 0 else "" for n in numbers]
    return np.array(named, dtype=object)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON has them: no number that is none, None in its place."""
    return [{key: plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: None for what is no finite number."""
    value = getattr(value, "item", lambda: value)()
    return None if pd.isna(value) or value in (np.inf, -np.inf) else value
