"""Folders whose files hold many images each: tar archives, Parquet files, saved datasets."""

from __future__ import annotations

import re
from pathlib import Path

from hudd.data.files import first
from hudd.data.folder import SETS
from hudd.errors import UsageError

_NUMBERED = re.compile(r"[-_.]?\d+([-_.]of[-_.]\d+)?$")
_SAVED = ("dataset_dict.json", "state.json")


def is_saved_dataset(folder: Path) -> bool:
    """Say whether ``datasets`` of Hugging Face has saved a dataset there."""
    return any((folder / name).is_file() for name in _SAVED) or any(folder.glob("*.arrow"))


def pattern_in(folder: Path, suffixes: tuple[str, ...]) -> str | None:
    """Return the pattern of the files with images in a folder; None where it is a folder of image files.

    Parameters
    ----------
    folder : Path
    suffixes : tuple of str
        Of such files.

    Raises
    ------
    UsageError
        If it holds such files of several kinds, or of several sets.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if any(entry.is_dir() for entry in entries):
        return None
    found = {suffix: [one for one in entries if one.suffix.lower() == suffix] for suffix in suffixes}
    kinds = [suffix for suffix, files in found.items() if files]
    if len(kinds) != 1:
        if kinds:
            raise UsageError(
                f"folder '{folder}' holds files of the kinds {first(kinds)}; name those to use, e.g. "
                f"'{folder}/*{kinds[0]}'."
            )
        return None
    stems = sorted({_NUMBERED.sub("", one.stem) for one in found[kinds[0]]})
    if len(stems) > 1 and all(stem.lower() in SETS for stem in stems):
        raise UsageError(
            f"folder '{folder}' holds the sets {first(stems)}; name one, e.g. '{folder}/{stems[0]}*{kinds[0]}'."
        )
    return f"{folder}/*{kinds[0]}"
