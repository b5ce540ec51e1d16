"""Triggering conditions as an ASAM OpenODD document, and how the sets of images cover its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hudd.cells import frame_to_csv
from hudd.errors import HuddError
from hudd.evaluation import Region
from hudd.export.base import Exporter
from hudd.export.openodd_document import binding, document
from hudd.summary import cause_facts
from hudd.summary.causes import cause_regions
from hudd.summary.columns import columns_of
from hudd.summary.conditions import cause_identifiers
from hudd.summary.coverage import Axis, axes_of, counted, coverage
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.review.view import View

_SPLITS = ("test", "judge", "train", "improvement")


def _write(results: View, folder: Path) -> list[Path]:
    """Write ``odd.yaml``, ``odd.binding.yaml``, and as tables the coverage of cells and of conditions by each set."""
    regions = cause_regions(results)
    if not regions:
        raise HuddError(
            f"'{results.path}' has no cause with a rule, so there is no condition to write; 'hudd evaluate "
            f"{results.path}' looks for rules."
        )
    identifiers = cause_identifiers(results)
    facts = [fact for fact in cause_facts(results) if fact.number in regions]
    splits = [name for name in _SPLITS if results.has(f"splits/{name}")]
    columns = {name: columns_of(results, name) for name in splits}
    axes = axes_of(list(regions.values()), list(columns.values()))
    modules = {identifiers[fact.number]: regions[fact.number] for fact in facts}
    titles = {identifiers[fact.number]: printable(fact.name) for fact in facts}
    confirmed = [identifiers[fact.number] for fact in facts if fact.rate and fact.rate.confirmed]
    study = printable(results.path.name)
    files = {
        "odd.yaml": document(axes, modules, titles, confirmed).encode(),
        "odd.binding.yaml": binding(axes, study).encode(),
        "cells.csv": frame_to_csv(_cells(results, axes, columns)),
        "conditions.csv": frame_to_csv(_conditions(results, modules, columns)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


OPENODD = Exporter("openodd", _write, folder="openodd")


def _outcomes(results: View, split: str) -> tuple[np.ndarray, np.ndarray]:
    images = results.split(split)
    known = (images.label >= 0) & images.counted
    return known, ~images.correct & known


def _cells(
    results: View, axes: Sequence[Axis], columns: Mapping[str, Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """One row a set and cell."""
    rows = []
    for split, own in columns.items():
        for found in coverage(axes, dict(own), *_outcomes(results, split)):
            cell = {printable(axis.name): bucket for axis, bucket in zip(axes, found.pop("cell"))}
            rows.append({"set": split, **cell, **found})
    return pd.DataFrame(rows)


def _conditions(
    results: View, modules: Mapping[str, Region], columns: Mapping[str, Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """One row a set and condition."""
    rows = []
    for split, own in columns.items():
        known, failed = _outcomes(results, split)
        for name, region in modules.items():
            inside = region.holds(own, len(known))
            condition = printable(region.words())
            rows.append(
                {"set": split, "module": name, "condition": condition, **counted(inside, known, failed)}
            )
    return pd.DataFrame(rows)
