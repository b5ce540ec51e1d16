"""The section for a model card: figures, one row a cause, and no name that is more than text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hudd.errors import HuddError
from hudd.export import export_one
from hudd.export.model_card import _cell
from hudd.review.view import view
from hudd.summary import cause_facts

HOSTILE = "a|b\n# <script>*x*</script> [link](http://x) `code`"


def _card(study: Any, folder: Path) -> str:
    (path,) = export_one(study, folder / "out", "model-card")
    return path.read_text(encoding="utf-8")


def test_it_has_accuracy_and_a_row_for_every_cause(make_study, tmp_path: Path) -> None:
    study = make_study()
    card = _card(study, tmp_path)
    test = study.split("test")
    known = test.label >= 0
    assert f"value: {test.correct[known].mean():.6f}" in card
    rows = [line for line in card.splitlines() if line.startswith("| ")][2:]
    facts = cause_facts(view(study))
    assert len(rows) == len(facts)
    for row, cause in zip(rows, facts):
        assert f"| {len(cause.rows):,} |" in row


def test_names_are_text_alone(make_study, tmp_path: Path) -> None:
    study = make_study(names=[HOSTILE, "b", "c"])
    card = _card(study, tmp_path)
    assert "<script>" not in card
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    metadata = card.partition("---\n")[2].partition("---\n")[0]
    (name,) = [line.removeprefix("- name: ") for line in metadata.splitlines() if line.startswith("- name: ")]
    assert isinstance(json.loads(name), str)


def test_marks_of_markdown_are_escaped() -> None:
    assert _cell(HOSTILE) == (r"a\|b\\n\# &lt;script&gt;\*x\*&lt;/script&gt; \[link\](http://x) \`code\`")


def test_it_needs_clusters(make_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    has = study.has
    monkeypatch.setattr(study, "has", lambda name: name != "clusters" and has(name))
    with pytest.raises(HuddError, match="has no clusters yet"):
        _card(study, tmp_path)
