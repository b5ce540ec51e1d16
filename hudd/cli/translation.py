"""What the library calls parameters, as the command line calls them: options."""

from __future__ import annotations

import re

from hudd.cli.options import FIELDS

_PARAMETER = re.compile(r"`(?P<name>[a-z_]+)(?:=(?P<value>[^`]*))?`")
_OWN = {"break_lock": "--break-lock", "overwrite": "--overwrite"}  # options that are no setting


def as_options(message: str) -> str:
    """Return a message of the library with the parameters in it as options.

    Parameters
    ----------
    message : str
        Parameters stand in it as code: ```layers```, ```dtype='float16'```, ```skip_bad=True```. Other words in
        backticks stay as they are.

    Examples
    --------
    >>> as_options("store less (`dtype='float16'`), or give `skip_bad=True`")
    'store less (--dtype float16), or give --skip-bad'
    """
    return _PARAMETER.sub(_option, message)


def _option(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    flags = FIELDS[name].flags if name in FIELDS else _OWN.get(name, "")
    if not flags:
        return found[0]
    option, _, opposite = flags.partition("/")
    if value in (None, "True"):
        return option
    return opposite if value == "False" and opposite else f"{option} {value.strip(chr(39))}"
