"""Every code block of the documentation runs, page by page, as a reader would run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import hudd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_page(page: Path, walk: Callable[[Path], Path]) -> None:
    walk(page)


@pytest.fixture
def tutorial(walk: Callable[[Path], Path]) -> Path:
    return walk(ROOT / "docs" / "tutorial.md")


def test_the_tutorial_finds_the_causes_that_it_drew(tutorial: Path) -> None:
    study = hudd.Study.open(tutorial / "study")
    truth = pd.read_csv(tutorial / "data" / "manifest.csv").query("split == 'test'").reset_index(drop=True)
    errors = truth.iloc[study.errors].assign(cluster=study.clusters.label)
    cause = (errors["size"] < 6).map({True: "small", False: ""}) + (errors["light"] < 0.5).map(
        {True: "dark", False: ""}
    )
    purest = pd.crosstab(errors["cluster"], cause).max(axis=1).sum() / len(errors)
    assert purest > 0.7


def test_the_tutorial_mends_the_model(tutorial: Path) -> None:
    [[run]] = hudd.Study.open(tutorial / "study").retraining.values()
    assert run["accuracy_after"] > run["accuracy_before"] + 0.05
