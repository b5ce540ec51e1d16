"""Gather what pages say in ``hudd/report/locale/hudd.pot``, the template of all catalogues: what ``make texts`` runs.

Marked are ``_("...")``, ``ngettext(...)`` and ``marked("...")`` in Python, and ``_("...")`` and ``{% trans %}`` in the
templates. With ``--check``, nothing is written, and the exit code is 1 where the file is not what it would be.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import write_po

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "hudd" / "report" / "locale" / "hudd.pot"
METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"**/templates/**.html": {"newstyle_gettext": "true", "silent": "false"}}
KEYWORDS = {**DEFAULT_KEYWORDS, "marked": None}


def gathered() -> bytes:
    """Return the template as it should be: messages by file, without line numbers or dates."""
    catalogue = Catalog(project="hudd", charset="utf-8", fuzzy=False)
    for name, _, message, comments, context in extract_from_dir(
        str(ROOT / "hudd"), METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=()
    ):
        catalogue.add(message, None, [(f"hudd/{name}", 1)], auto_comments=comments, context=context)
    file = io.BytesIO()
    write_po(file, catalogue, sort_by_file=True, include_lineno=False, omit_header=True, width=110)
    return file.getvalue()


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say whether the file is as it should be"
    )
    arguments, found = parser.parse_args(), gathered()
    current = TEMPLATE.read_bytes() if TEMPLATE.exists() else b""
    if arguments.check:
        if current != found:
            print(
                f"{TEMPLATE.relative_to(ROOT)} is not what the sources say; run 'make texts'.",
                file=sys.stderr,
            )
        return int(current != found)
    TEMPLATE.parent.mkdir(exist_ok=True)
    TEMPLATE.write_bytes(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
