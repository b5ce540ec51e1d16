"""What people decided about triggering conditions, as they write it in a YAML file; every mistake is named."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hudd.dossier.content import Decision
from hudd.errors import UsageError
from hudd.settings.yaml_file import read_yaml
from hudd.text import printable

DECISIONS = ("accepted", "rejected")
_KEYS = ("decision", "reviewer", "date")


def read_decisions(path: Path) -> dict[str, Decision]:
    """Return what a file says, by the identifiers of the conditions.

    The file maps each identifier to ``decision`` (accepted or rejected), ``reviewer`` and ``date`` (YYYY-MM-DD).

    Raises
    ------
    UsageError
        If it cannot be read or says something else; it names the file and the identifier.
    """
    content = read_yaml(path, "decisions")
    if not isinstance(content, dict) or not content:
        raise UsageError(
            f"'{path}' holds no decisions; write 'TC-...: {{decision: accepted, reviewer: NAME, date: YYYY-MM-DD}}'."
        )
    return {name: _decision(entry, f"'{name}' in '{path}'") for name, entry in content.items()}


def check_decisions(decisions: Mapping[str, Decision], known: Collection[str]) -> None:
    """Refuse a decision about a condition that the study does not have: it was about another DNN or test set."""
    for name in decisions:
        if name not in known:
            raise UsageError(
                f"there is a decision about '{printable(name)}', which is no condition of this study; it may be of "
                f"another DNN or test set; known are: {', '.join(known) or 'none'}."
            )


def _decision(entry: Any, where: str) -> Decision:
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        raise UsageError(f"{where} needs the keys {', '.join(_KEYS)}, and no others; give all of them.")
    texts = {key: printable(str(entry[key]).strip()) for key in _KEYS}
    if texts["decision"] not in DECISIONS:
        raise UsageError(
            f"decision of {where} is '{texts['decision']}'; choose one of: {', '.join(DECISIONS)}."
        )
    if (
        entry["reviewer"] is None
        or isinstance(entry["reviewer"], (bool, list, dict))
        or not texts["reviewer"]
    ):
        raise UsageError(f"reviewer of {where} is missing; give the name of a person.")
    try:
        datetime.date.fromisoformat(texts["date"])
    except ValueError:
        raise UsageError(f"date of {where} is '{texts['date']}'; write it as YYYY-MM-DD.") from None
    return Decision(**texts)
