"""A tree of image files: one folder a class, or unlabelled images in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from hudd.data.files import IMAGE_SUFFIXES, FileSource, first, inside
from hudd.data.labels import UNKNOWN, from_names
from hudd.errors import UsageError

# What lies beside images without being one: annotations, notes, and what file browsers leave behind.
_SIDECAR_SUFFIXES = frozenset(
    (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".parquet")
)
_SIDECAR_NAMES = frozenset(
    ("thumbs.db", "desktop.ini", "readme", "license", "licence", "notice", "checksums")
)


def open_folder(
    root: Path,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> FileSource:
    """Open an image folder.

    With folders inside, each is a class (deeper folders belong to it) and the class names are the folder names,
    sorted. With images only, the labels are unknown (-1). Hidden files and sidecars (.csv, .txt, .json, Thumbs.db
    and the like) are passed over; any other file that is not an image is refused.

    Parameters
    ----------
    root : Path
        The folder; identifiers are paths relative to it.
    transform : callable, optional
        See :class:`hudd.data.ImageSource`.
    class_names : sequence of str, optional
        The network's classes; folders are matched by name, or by class number if no folder name is
        a class name and all are whole numbers (``00000``, ``00001``, ...).

    Raises
    ------
    UsageError
        If the folder is empty or mixes labelled and unlabelled images, a file is no image, a link leads out of
        the tree, or a folder is no known class.
    """
    files = sorted(_images(root, root.resolve(), ()))
    if not files:
        raise UsageError(
            f"folder '{root}' holds no images; put images in it, or in one folder a class, e.g. {root}/cat/1.png."
        )
    relative = [file.relative_to(root) for file in files]
    loose = [path for path in relative if len(path.parts) == 1]
    if loose and len(loose) < len(relative):
        raise UsageError(
            f"folder '{root}' holds images beside class folders ({first(map(str, loose), 3)}); "
            "move them into a class folder, or take them out."
        )
    paths = [path.as_posix() for path in relative]
    if loose:
        return FileSource(files, paths, np.full(len(files), UNKNOWN), class_names or [], None, transform)
    names = [path.parts[0] for path in relative]
    folders = sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if class_names is None:
        labels, known = from_names(names, folders, lambda row: f"image '{paths[row]}'")
    else:
        names = _numbered(names, class_names)
        labels, known = from_names(names, class_names, lambda row: f"image '{paths[row]}' in '{root}'")
    return FileSource(files, paths, labels, known, None, transform)


def _numbered(names: list[str], class_names: Sequence[str]) -> list[str]:
    """Class names for folders called by class number; the folders' own names otherwise."""
    folders = set(names)
    if folders & set(class_names) or not all(
        name.isdecimal() and int(name) < len(class_names) for name in folders
    ):
        return names
    return [class_names[int(name)] for name in names]


def _images(folder: Path, root: Path, parents: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the image files beneath `folder`; `root` is the resolved root of the tree."""
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise UsageError(f"folder '{folder}' cannot be read: {error.strerror}.") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _SIDECAR_NAMES:
            continue
        if entry.is_symlink() and not inside(entry, root):
            raise UsageError(
                f"'{entry}' is a link that leads out of the data tree, to '{entry.resolve()}'; "
                "copy what it points to, or list the files in a manifest."
            )
        if entry.is_dir():
            here = entry.resolve()
            if here in parents or here == root:
                raise UsageError(f"'{entry}' is a link to a folder that holds it; remove the link.")
            yield from _images(entry, root, (*parents, here))
        elif entry.suffix.lower() in IMAGE_SUFFIXES:
            yield entry
        elif entry.suffix.lower() not in _SIDECAR_SUFFIXES:
            raise UsageError(
                f"'{entry}' in the image folder is not an image (known suffixes: "
                f"{' '.join(sorted(IMAGE_SUFFIXES))}); move it elsewhere."
            )
