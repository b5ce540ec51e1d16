"""The catalogues of messages that pages can be written in."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from hudd.errors import UsageError

FOLDER = Path(__file__).parent / "locale"
"""Holds ``hudd.pot``, and of each language ``<code>/LC_MESSAGES/hudd.mo``."""

ENGLISH = "en"
_PLACEHOLDER = re.compile(r"%\((\w+)\)|\{(\w+)\}")


class Catalogue(GNUTranslations):
    """A compiled catalogue, whose messages can be filled in wherever the English ones can."""

    _catalog: dict[str | tuple[str, int], str]

    def faults(self) -> Iterator[str]:
        """Yield the English of each message whose translation cannot be filled in."""
        for key, translated in self._catalog.items():
            message = key[0] if isinstance(key, tuple) else key
            names = set(_PLACEHOLDER.findall(message))
            known = set(_PLACEHOLDER.findall(translated)) <= names
            filled = {name: "" for name, _ in names}
            if message and not (known and (_fills(translated, filled) or not _fills(message, filled))):
                yield message


def languages() -> list[str]:
    """Return the codes of the languages that hudd has."""
    return [ENGLISH, *sorted(found.parent.parent.name for found in FOLDER.glob("*/LC_MESSAGES/hudd.mo"))]


def translations(language: str | None = None) -> NullTranslations:
    """Return the catalogue of a language.

    Parameters
    ----------
    language : str, optional
        A code of :func:`languages`, or a ``.mo`` file; by default the environment variable ``HUDD_LANGUAGE``, and
        English.

    Raises
    ------
    UsageError
        If there is no such language or file, or the file is no catalogue of these messages.
    """
    language = language or os.environ.get("HUDD_LANGUAGE") or ENGLISH
    if language == ENGLISH:
        return NullTranslations()
    if language.endswith(".mo"):
        return _read(Path(language))
    if language not in languages():
        raise UsageError(
            f"language '{language}' is unknown; choose one of: {', '.join(languages())}, or give a catalogue, FILE.mo."
        )
    return _read(FOLDER / language / "LC_MESSAGES" / "hudd.mo")


def _read(path: Path) -> Catalogue:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the catalogue '{path}' cannot be read: {error.strerror or error}.") from error
    try:
        found = Catalogue(io.BytesIO(content))
    except (OSError, ValueError, LookupError, struct.error) as error:  # the first, of another magic number
        raise UsageError(
            f"'{path}' is not a compiled catalogue; 'pybabel compile' makes one of a .po file."
        ) from error
    if fault := next(found.faults(), None):
        raise UsageError(
            f"the catalogue '{path}' translates '{fault}' with other placeholders, or a single %; keep those of the "
            "English message, and write %% for a per cent sign where it has one."
        )
    return found


def _fills(text: str, values: dict[str, str]) -> bool:
    """Whether a text can be filled in with %-formatting, as templates do."""
    try:
        text % values
    except (KeyError, TypeError, ValueError):
        return False
    return True
