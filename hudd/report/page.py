"""How a page is made from its template: everything escaped, one script allowed, nothing loaded, one language."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hudd import language
from hudd.report.script_texts import TEXTS
from hudd.text import clipped, number, p_value, percent, printable


def render(template: str, *, served: bool, **context: Any) -> str:
    """Return the page ``TEMPLATE.html`` with ``TEMPLATE.js`` as the only script that may run in it.

    Parameters
    ----------
    template : str
        Its name.
    served : bool
        Whether it is a page of the local server; else it is read from disk.
    **context
        What the template shows.
    """
    environment = Environment(
        loader=PackageLoader("hudd.report"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        printable=printable,
        percent=percent,
        number=number,
        p_value=p_value,
        median=np.median,
        initial=_initial,
        breakable=_breakable,
        clipped=clipped,
    )
    environment.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    texts = {text: language.gettext(text) for text in TEXTS}
    script = environment.get_template(f"{template}.js").render(texts=texts)
    return environment.get_template(f"{template}.html").render(
        served=served,
        language=language.code(),
        script=Markup(script),
        # The page's policy names this script alone, whatever a file or class is called.
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        **context,
    )


def _initial(text: str) -> str:
    """Return a text with a capital at its beginning, as a heading has it."""
    return text[:1].upper() + text[1:]


def _breakable(text: str) -> Markup:
    """Allow a line break after each underscore, so that words stay whole."""
    return escape(text).replace("_", Markup("_<wbr>"))
