"""How a page is made from its template: everything escaped, one script allowed, nothing loaded."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hudd.text import number, percent, printable


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
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(printable=printable, percent=percent, number=number, median=np.median)
    script = environment.get_template(f"{template}.js").render()
    return environment.get_template(f"{template}.html").render(
        served=served,
        script=Markup(script),
        # The page's policy names this script alone, whatever a file or class is called.
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        **context,
    )
