"""A page as PDF: by WeasyPrint where it is installed, else by Chromium where that is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

from PIL import ImageFile

from hudd.errors import HuddError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ABSENT = (
    "The PDF was left out, since neither WeasyPrint nor Chromium is installed; run pip install '.[dossier]' in hudd's "
    "source tree (WeasyPrint needs Pango of the system), or print dossier.html from any browser."
)
_SECONDS = 180


def to_pdf(page: str) -> bytes | None:
    """Return the PDF of an HTML page that loads nothing; None where nothing can make it.

    Raises
    ------
    HuddError
        If Chromium is there and fails.
    """
    weasyprint = _weasyprint()
    if weasyprint is not None:
        return by_weasyprint(weasyprint, page)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    return None if browser is None else by_chromium(browser, page)


def by_weasyprint(weasyprint: Any, page: str) -> bytes:
    """Return the PDF that WeasyPrint makes."""
    content: bytes = weasyprint.HTML(string=page).write_pdf()
    return content


def by_chromium(browser: str, page: str) -> bytes:
    """Return the PDF that Chromium prints."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "dossier.html"), Path(folder, "dossier.pdf")
        source.write_bytes(page.encode("utf-8", "backslashreplace"))
        flags = {
            "headless": "",
            "disable-gpu": "",
            "no-first-run": "",
            "disable-background-networking": "",
            "no-pdf-header-footer": "",
            "generate-pdf-document-outline": "",
            "user-data-dir": f"={folder}/profile",
            "print-to-pdf": f"={target}",
        }
        if os.geteuid() == 0:
            flags["no-sandbox"] = ""  # Chromium has none for root
        given = [f"--{name}{value}" for name, value in flags.items()]
        try:
            subprocess.run([browser, *given, source.as_uri()], capture_output=True, timeout=_SECONDS)
            return target.read_bytes()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HuddError(
                f"'{browser}' made no PDF of the dossier ({error}); print dossier.html from a browser."
            ) from error


def _weasyprint() -> Any:
    """Return WeasyPrint; None where it, or Pango, is not installed."""
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import weasyprint
    except (ImportError, OSError):
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = (
            truncated  # WeasyPrint has it that half an image is one, for everybody
        )
    return weasyprint
