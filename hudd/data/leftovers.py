"""What lies in image folders without being data: traces of file managers, network drives, archives and notebooks."""

from __future__ import annotations

import re
from pathlib import Path

# Annotations and notes.
_SIDECAR_SUFFIXES = frozenset((
    ".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".parquet",
    ".npy", ".db", ".ini", ".thumb", ".tmp", ".bak", ".py", ".ipynb", ".url", ".lnk", ".info", ".dat",
))  # fmt: skip
_SIDECAR_NAMES = frozenset(("readme", "license", "licence", "notice", "checksums", "icon\r"))

_FOLDERS = frozenset(
    (
        "__macosx",  # archives made on a Mac
        "@eadir", "#recycle", "@recycle", "@tmp", "#snapshot", "@recently-snapshot", "@sharebin",  # network drives
        "lost+found", "$recycle.bin", "recycler", "system volume information", "found.000",  # file systems
        "network trash folder", "temporary items", "__pycache__",
        "thumb", "thumbs", "thumbnail", "thumbnails", "_thumb", "_thumbs", "_thumbnails",
    )
)  # fmt: skip

# Thumbnails next to what they show: "00_thumb.png", "00.thumbnail.jpg", "thumb_00.png", "tn_00.jpg".
_THUMBNAIL = re.compile(
    r"(?P<before>.+?)[._-]thumb(?:nail)?s?|(?:thumb(?:nail)?|tn)[._-](?P<after>.+)", re.IGNORECASE
)


def is_left_behind(entry: Path, stems: set[str], classes: frozenset[str]) -> bool:
    """Say whether an entry of an image folder is known by its name to be no data.

    Parameters
    ----------
    entry : Path
        A file or folder.
    stems : set of str
        Stems, in lower case, of the files next to it.
    classes : frozenset of str
        Names that are classes, whatever else they look like.
    """
    name = entry.name
    if name.startswith("."):  # also "._00.png", the Mac's second half of a file on other systems
        return True
    if name in classes:
        return False
    if name.lower() in _FOLDERS:
        return entry.is_dir()
    shown = _THUMBNAIL.fullmatch(entry.stem)
    return shown is not None and (shown["before"] or shown["after"]).lower() in stems


def is_sidecar(entry: Path) -> bool:
    """Say whether a file is one that people put next to images."""
    return entry.name.lower() in _SIDECAR_NAMES or entry.suffix.lower() in _SIDECAR_SUFFIXES
