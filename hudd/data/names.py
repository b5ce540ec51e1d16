"""Class names as they are given: a list, or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hudd.errors import UsageError


def read_class_names(text: str) -> tuple[str, ...]:
    """Read class names in the order of the outputs: "ant,bee", or a file.

    A file holds one name a line, or JSON: a list, or a dict of name to number or number to name.

    Raises
    ------
    UsageError
        If the file cannot be read, or holds something else.
    """
    file = Path(text)
    if not ("/" in text or file.suffix in (".txt", ".json", ".names", ".csv")) or "," in text:
        return tuple(name.strip() for name in text.split(",") if name.strip())
    try:
        content = file.read_text(encoding="utf-8-sig")
        if file.suffix != ".json":
            return tuple(line.strip() for line in content.splitlines() if line.strip())
        found = json.loads(content)
        if isinstance(found, dict):
            numbered = {int(n): name for name, n in found.items()} if _counts(found) else found
            ordered = {int(number): str(name) for number, name in numbered.items()}
            found = [ordered[number] for number in range(len(found))]
        return tuple(str(name) for name in found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the class names in '{text}' cannot be read ({error}); write one name a line, in the order of the outputs."
        ) from error


def _counts(found: dict[str, Any]) -> bool:
    return all(isinstance(number, int) for number in found.values())
