"""What people decided about triggering conditions: in a YAML file of theirs, or on the served report.

The latter writes the same file, ``decisions.yaml``, into the study's directory. Several processes may do so at the same
time: each takes a lock, reads the file, looks whether what it was about to change is still there, and puts a whole new
file in its place.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hudd.errors import HuddError, UsageError
from hudd.review.review import EditConflict
from hudd.settings.yaml_file import parse_yaml, read_yaml
from hudd.store import edit_lock, read_inside
from hudd.store.files import write_whole
from hudd.text import printable

NAME = "decisions.yaml"
DECISIONS = ("accepted", "rejected")
_KEYS = ("decision", "reviewer", "date")
_LONGEST = 120  # characters of a reviewer's name


@dataclass(frozen=True)
class Decision:
    """What a person decided about a triggering condition, "accepted" or "rejected", and when."""

    decision: str
    reviewer: str
    date: str


def read_decisions(path: Path) -> dict[str, Decision]:
    """Return what a file says, by the identifiers of the conditions.

    The file maps each identifier to ``decision`` (accepted or rejected), ``reviewer`` and ``date`` (YYYY-MM-DD).

    Raises
    ------
    UsageError
        If it cannot be read or says something else; it names the file and the identifier.
    """
    return _decisions(read_yaml(path, "decisions"), path)


def saved_decisions(directory: Path) -> dict[str, Decision]:
    """Return what was decided on the served report of a study in a directory, by the identifiers of conditions.

    Raises
    ------
    HuddError
        If it is there but cannot be read.
    """
    file = directory / NAME
    try:
        content = read_inside(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HuddError(f"'{file}' cannot be read ({error.strerror}); fix it or move it away.") from error
    return _decisions(parse_yaml(content, file, "decisions"), file) if content.strip() else {}


def save_decision(directory: Path, name: str, entry: Mapping[str, str] | None, *, known: Any) -> None:
    """Save what was decided about a condition on the served report.

    Parameters
    ----------
    directory : Path
        The study's.
    name : str
        Identifier of the condition.
    entry : mapping of str to str or None
        ``decision`` and ``reviewer``; the date is today's. None takes the decision back.
    known : dict or None
        The decision that the page has shown.

    Raises
    ------
    UsageError
        If the decision is none of those that there are, or the reviewer is missing.
    EditConflict
        If others have decided otherwise meanwhile.
    HuddError
        If what was saved cannot be read, or the file cannot be written.
    """
    new = None
    if entry is not None:
        today = datetime.date.today().isoformat()
        new = _decision({**entry, "date": today}, f"'{name}'")
    with edit_lock(directory / ".lock-decisions"):
        decisions = saved_decisions(directory)
        there = asdict(decisions[name]) if name in decisions else None
        if there != known:
            told = "taken back" if there is None else f"{there['decision']} ({there['reviewer']})"
            raise EditConflict(f"'{name}' was {told} by others meanwhile.", {"decision": there})
        decisions.pop(name, None)
        if new is not None:
            decisions[name] = new
        lines = [f"{json.dumps(each)}: {json.dumps(asdict(one))}\n" for each, one in decisions.items()]
        write_whole(directory / NAME, "".join(lines).encode())


def _decisions(content: Any, path: Path) -> dict[str, Decision]:
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
        or not 0 < len(texts["reviewer"]) <= _LONGEST
    ):
        raise UsageError(
            f"reviewer of {where} is missing or longer than {_LONGEST}; give the name of a person."
        )
    try:
        datetime.date.fromisoformat(texts["date"])
    except ValueError:
        raise UsageError(f"date of {where} is '{texts['date']}'; write it as YYYY-MM-DD.") from None
    return Decision(**texts)
