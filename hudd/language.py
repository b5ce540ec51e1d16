"""The language of what people read: a sentence is marked where it stands, and looked up when it is shown.

The names are those of GNU gettext, which :mod:`gettext` reads the catalogues of. What is looked up with no language
chosen stays as it is, in English.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from gettext import NullTranslations

_ENGLISH = NullTranslations()
_CURRENT: ContextVar[NullTranslations] = ContextVar("language", default=_ENGLISH)


def gettext(message: str) -> str:
    """Return a message in the language that is spoken now."""
    return _CURRENT.get().gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the message for so many things in the language that is spoken now."""
    return _CURRENT.get().ngettext(one, many, count)


def code() -> str:
    """Return the code of the language that is spoken now, as a page names it: "en", "pt-BR"."""
    return _CURRENT.get().info().get("language", "en").replace("_", "-")


def marked(message: str) -> str:
    """Return a message as it is: it goes into the catalogue, and is looked up where it is shown."""
    return message


@contextmanager
def spoken(translations: NullTranslations) -> Iterator[None]:
    """Speak a language while the body runs, in this thread.

    Parameters
    ----------
    translations : NullTranslations
        Its catalogue; a :class:`gettext.NullTranslations` leaves all as it is.
    """
    token = _CURRENT.set(translations)
    try:
        yield
    finally:
        _CURRENT.reset(token)
