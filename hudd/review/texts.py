"""What the name and the note of a cluster may hold."""

from __future__ import annotations

import re

from hudd.errors import UsageError

LONGEST = {"name": 120, "note": 10_000}
"""Characters that a cluster's name and note may have."""

_REFUSED = {
    "name": re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"),
    "note": re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"),  # lines and tabs are allowed
}


def checked(field: str, text: object) -> str:
    """Return a text as it is kept, with one kind of line break.

    Parameters
    ----------
    field : str
        "name" or "note".
    text : object
        What was given.

    Raises
    ------
    UsageError
        If there is no such field, or it is no text, too long, or holds what cannot be kept or shown.
    """
    if field not in LONGEST or not isinstance(text, str) or len(text) > LONGEST[field]:
        allowed = ", ".join(f"{name} (text of at most {most})" for name, most in LONGEST.items())
        raise UsageError(f"'{field}' of a cluster cannot be saved; give {allowed}.")
    text = text.replace("\r\n", "\n")
    text = text if field == "note" else text.strip("\n")
    if found := _REFUSED[field].search(text):
        allowed = " other than tabs and line breaks" if field == "note" else " and line breaks"
        raise UsageError(
            f"the {field} holds U+{ord(found[0]):04X}, which cannot be saved; leave out control characters{allowed} "
            "and halves of surrogate pairs."
        )
    return text
