"""The dossier of a study in a folder: JSON, HTML, PDF and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hudd.dossier.gather import gather
from hudd.dossier.method import SETTINGS
from hudd.dossier.page import pictures_of, render
from hudd.dossier.pdf import to_pdf
from hudd.errors import UsageError
from hudd.review.decisions import Decision
from hudd.store.files import write_error, write_whole
from hudd.text import to_json

if TYPE_CHECKING:
    from hudd.study import Study

FILES = ("dossier.json", "dossier.html", "dossier.pdf", SETTINGS)


def write(
    study: Study,
    out: str | Path,
    *,
    odd: str = "",
    decisions: Mapping[str, Decision] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the safety dossier of a study: what fails under which conditions, and the evidence for it.

    Parameters
    ----------
    study : Study
        Clustered and evaluated, with as much of the later steps as there is.
    out : str or Path
        Folder; made if need be. ``dossier.json`` follows :func:`hudd.dossier.schema`, ``dossier.html`` and
        ``dossier.pdf`` are for people, ``settings.json`` makes the study again.
    odd : str
        The operational design domain in your words; paragraphs are separated by empty lines.
    decisions : mapping of str to Decision, optional
        What people decided about conditions, by their identifiers, see :func:`hudd.dossier.read_decisions`; by default
        what they decided on the served report.
    overwrite : bool
        Replace these files where they are there.

    Returns
    -------
    list of Path
        The files. ``dossier.pdf`` is missing where neither WeasyPrint nor Chromium is installed.

    Raises
    ------
    UsageError
        If there is a dossier in the folder, the folder is a file, or a decision is about a condition that the study
        does not have; nothing is then written.
    HuddError
        If the study has not come far enough, or a file cannot be written.
    """
    folder = Path(out)
    check_out(folder, overwrite)
    dossier = gather(study, odd.strip().replace("\r\n", "\n"), decisions)
    page = render(dossier, pictures_of(study, dossier))
    contents = {
        "dossier.json": dossier.to_json(),
        "dossier.html": page.encode("utf-8", "backslashreplace"),
        "dossier.pdf": to_pdf(page),
        SETTINGS: to_json(dossier.method.settings, indent=1) + b"\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)  # that of an earlier dossier
    except OSError as error:
        raise write_error(folder, error) from error
    for name, content in contents.items():
        if content is not None:
            write_whole(folder / name, content)
    return [folder / name for name, content in contents.items() if content is not None]


def check_out(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that is a file, or has a dossier that is not to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; name a folder for the dossier.")
    there = [name for name in FILES if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not overwrite:
        raise UsageError(
            f"'{folder}' has {', '.join(there)} already; give `overwrite` to replace them, or name another folder."
        )


def read_domain(file: Path) -> str:
    """Return the text of a file that states the operational design domain.

    Raises
    ------
    UsageError
        If it cannot be read, is not text in UTF-8, or is empty.
    """
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise UsageError(f"'{file}' cannot be read ({error.strerror}); name a text file.") from error
    except ValueError as error:
        raise UsageError(f"'{file}' is not text in UTF-8; name a text file.") from error
    if not text:
        raise UsageError(f"'{file}' is empty; state the operational design domain in it.")
    return text
