"""The page of two studies of one test set: what was fixed, what regressed, which causes are gone, which are new."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hudd.errors import UsageError
from hudd.language import spoken
from hudd.report.album import Album, Shot
from hudd.report.languages import translations
from hudd.report.page import render
from hudd.review.cause_changes import STATUSES, CauseChange
from hudd.review.difference import Difference
from hudd.review.view import View
from hudd.store.files import check_place, write_whole
from hudd.text import printable
from hudd.version import __version__

_SIDE = 128  # longer side of a picture, in pixels
_OF_CAUSE, _CHANGED = 6, 12  # pictures of a cause, and of the images that were fixed or regressed


@dataclass(frozen=True)
class Example:
    """A test image with both answers."""

    shot: Shot
    path: str
    truth: str
    before: str
    after: str
    wrong: tuple[bool, bool]
    overlays: list[Shot] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """A cause as the page shows it."""

    change: CauseChange
    examples: list[Example]


def check_page(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a path where the page cannot stand, before the work that fills it.

    Raises
    ------
    UsageError
        If its name does not end in ``.html``, its folder does not exist, or the file is there and is not to be
        replaced.
    """
    if path.suffix not in (".html", ".htm"):
        raise UsageError(f"the page '{path}' does not end in .html; name a file such as diff.html.")
    check_place(path, "the page ", "diff.html")
    if path.exists() and not overwrite:
        raise UsageError(f"'{path}' exists; give `overwrite` to replace it, or name another file.")


def write_page(
    found: Difference, path: str | Path, *, overwrite: bool = False, language: str | None = None
) -> Path:
    """Write two studies held against each other as one HTML file that loads nothing.

    Parameters
    ----------
    found : Difference
        See :func:`hudd.review.difference.compare_studies`; its first study must be a :class:`hudd.Study`, whose images
        are shown.
    path : str or Path
        The file.
    overwrite : bool
        Replace a file that is there.
    language : str, optional
        As for :func:`hudd.report.write_report`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        See :func:`check_page`.
    HuddError
        If the file cannot be written, or an image cannot be read.
    """
    path = Path(path)
    check_page(path, overwrite=overwrite)
    with spoken(translations(language)):
        write_whole(path, _page(found, path).encode("utf-8", "backslashreplace"))
    return path


def _page(found: Difference, path: Path) -> str:
    album = Album(_SIDE, 0)
    pictures = _Pictures(found, album)
    entries = [Entry(cause, pictures.of(cause.members, _OF_CAUSE)) for cause in found.causes]
    regressed, fixed = (
        pictures.of(np.flatnonzero(which), _CHANGED) for which in (found.regressed, found.fixed)
    )
    album.close(path)
    about = found.to_dict()
    return render(
        "diff",
        served=False,
        names=[printable(study.path.name) for study in (found.before, found.after)],
        found=found,
        entries=entries,
        regressed=regressed,
        fixed=fixed,
        statuses=STATUSES,
        notes=[printable(note) for note in found.notes()],
        studies=[
            {printable(key): printable(value) for key, value in about[which].items()}
            for which in ("before", "after")
        ],
        version=__version__,
    )


class _Pictures:
    """Makes the pictures of test images, each once."""

    def __init__(self, found: Difference, album: Album) -> None:
        self._found, self._album = found, album
        self._source = found.before.source("test")
        self._made: dict[int, Example] = {}

    def of(self, rows: np.ndarray, most: int) -> list[Example]:
        """Return some of the shared images, evenly spaced where there are more than so many."""
        at = np.round(np.linspace(0, len(rows) - 1, min(len(rows), most))).astype(np.int64)
        return [self._example(row) for row in rows[at].tolist()]

    def _example(self, row: int) -> Example:
        if row not in self._made:
            found, before, after = self._found, self._found.before, self._found.after
            at, there = int(found.pairing.rows[row]), int(found.pairing.other_rows[row])
            split, other = before.split("test"), after.split("test")
            picture = before.drawn("test", self._source.picture(at), at)
            self._made[row] = Example(
                shot=self._album.picture(f"test-{at}", lambda: picture, lead=True),
                path=printable(split.path[at]),
                truth=_called(before, int(split.label[at])),
                before=_called(before, int(split.prediction[at])),
                after=_called(after, int(other.prediction[there])),
                wrong=(bool(found.failed[0][row]), bool(found.failed[1][row])),
            )
        return self._made[row]


def _called(study: View, number: int) -> str:
    names = study.class_names
    return printable(names[number]) if 0 <= number < len(names) else "–"
