"""Labels given to the unsafe set by hand, saved as ``labels.csv`` that ``hudd label --import`` reads.

Several processes may save labels at the same time: each takes a lock, reads the file, looks whether what it was about
to change is still there, and puts a whole new file in its place. Next to each label stands the class that the study had
for the image when the label was given: where somebody has imported another one since, that one counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hudd.cells import guarded, match_cell
from hudd.errors import HuddError, UsageError
from hudd.review.review import EditConflict
from hudd.store import edit_lock, read_inside
from hudd.store.files import write_whole
from hudd.study.labels import import_labels

if TYPE_CHECKING:
    from hudd.study import Study

_Row = dict[str, str]
_SHOWN = 10


class _Given(NamedTuple):
    """A label given by hand, and the class of the study that it takes the place of, -1 for none."""

    label: int
    replaces: int


class Labels:
    """Labels given to the unsafe set by hand, in addition to those of the study.

    Parameters
    ----------
    study : Study
        With a selection.

    Raises
    ------
    HuddError
        If the study has no selection yet or ``labels.csv`` cannot be read.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.file = study, study.path / "labels.csv"
        self.class_names, self._path = study.class_names, study.split("improvement").path
        self.images = np.unique(study.selection.image)
        self._place = {path: image for image, path in enumerate(self._path)}
        self._unsafe = set(self.images.tolist())
        self._number = {name: at for at, name in enumerate(self.class_names)}
        self.refresh()

    def refresh(self) -> None:
        """Read what others have saved or put into the study since."""
        self._label = self.study.labels
        self._given = self._read(self._rows()[1])

    def of(self, image: int) -> int:
        """Return the class of an image of the unsafe set, -1 where it is unknown."""
        self._check(image)
        given = self._given.get(image)
        return int(self._label[image]) if given is None or self._is_stale(image, given) else given.label

    def put_into_study(self) -> int:
        """Put the labels given by hand into the study, all or none; returns how many are new or different.

        Raises
        ------
        UsageError
            If none has been given.
        EditConflict
            If others have given the study other classes for some of these images meanwhile: which, and what they are.
        HuddError
            If another process writes to the study, or the improvement set is no longer what was tested.
        """
        with self.study.journal.locked():
            if not self.file.exists():
                raise UsageError("no label has been given yet.")
            self.refresh()
            self._check_current()
            return import_labels(self.study, self.file, overwrite=True)

    def _check_current(self) -> None:
        stale = {
            image: int(self._label[image])
            for image, given in self._given.items()
            if self._is_stale(image, given)
        }
        if not stale:
            return
        told = [
            f"'{self._path[image]}' is {self._named(label)} there and {self._named(self._given[image].label)} here"
            for image, label in list(stale.items())[:_SHOWN]
        ]
        more = f"; and {len(stale) - _SHOWN} more" if len(stale) > _SHOWN else ""
        raise EditConflict(
            f"others have put labels of {len(stale)} of these images into the study meanwhile: {'; '.join(told)}"
            f"{more}; nothing was put in: label these images again, or correct '{self.file.name}' for those of an "
            "earlier selection, then put all of them into the study.",
            {"labels": {str(image): label for image, label in stale.items()}},
        )

    def set(self, image: int, label: Any, *, known: Any = None) -> None:
        """Save the class number of an image; -1 takes back what was given by hand.

        Parameters
        ----------
        image : int
            Its row of the improvement set.
        label : int
            The class.
        known : int, optional
            The class that the image had, -1 for none, when it was looked at.

        Raises
        ------
        UsageError
            If the image is not in the unsafe set or there is no such class.
        EditConflict
            If others have given the image another class than `known` and `label` meanwhile.
        """
        self._check(image)
        for number in (label, *(() if known is None else (known,))):
            if type(number) is not int or not -1 <= number < len(self.class_names):
                last = len(self.class_names) - 1
                raise UsageError(f"class {number!r} does not exist; give 0 to {last}, or -1.")
        with edit_lock(self.file.with_name(".lock-labels")):
            columns, rows = self._rows()
            self._given = self._read(rows)
            if known is not None and (there := self.of(image)) not in (known, label):
                told = f"image '{self._path[image]}' was labelled by others meanwhile: it is {self._named(there)} now."
                raise EditConflict(told, {"label": there})
            own = [row for row in rows if self._image(row) == image]
            if not own:
                own = [{"path": guarded(self._path[image])}]
                rows += own
            for row in own:
                row["label"], row["replaces"] = self._cell(label), self._cell(self._label[image])
            if "replaces" not in columns:
                columns = [*columns, "replaces"]
            write_whole(self.file, _as_csv(columns, rows))
            self._given = self._read(rows)

    def _check(self, image: int) -> None:
        if image not in self._unsafe:
            raise UsageError(f"image {image} is not in the unsafe set.")

    def _is_stale(self, image: int, given: _Given) -> bool:
        return self._label[image] not in given

    def _named(self, label: int) -> str:
        return f"'{self.class_names[label]}'" if label >= 0 else "without a class"

    def _cell(self, label: int) -> str:
        return str(guarded(self.class_names[label])) if label >= 0 else ""

    def _class(self, cell: str) -> int:
        """Return the class that a cell names, -1 where it names none."""
        return self._number.get(match_cell(cell, self._number.__contains__), -1)

    def _image(self, row: _Row) -> int | None:
        """Return the image of the improvement set that a row is about."""
        return self._place.get(match_cell(row["path"], self._place.__contains__))

    def _read(self, rows: list[_Row]) -> dict[int, _Given]:
        """Return the classes given to images, also those of an earlier unsafe set."""
        found = {}
        for row in rows:
            image, label = self._image(row), self._class(row["label"])
            if image is not None and label >= 0:
                found[image] = _Given(label, self._class(row.get("replaces", "")))
        return found

    def _rows(self) -> tuple[Sequence[str], list[_Row]]:
        """Return all of the file, which may hold labels of other selections and columns of other people."""
        if not self.file.exists():
            return ("path", "label"), []
        try:
            with io.StringIO(read_inside(self.file).decode("utf-8-sig"), newline="") as stream:
                reader = csv.DictReader(stream, restval="")
                rows = list(reader)
                columns = reader.fieldnames or ("path", "label")
                if not {"path", "label"} <= set(columns):
                    raise ValueError("it has no columns path and label")
                if len(set(columns)) < len(columns):
                    raise ValueError("two of its columns have the same name")
                if any(None in row for row in rows):
                    raise ValueError("a row has more cells than the header")
                return columns, rows
        except (OSError, ValueError, csv.Error) as error:
            raise HuddError(f"'{self.file}' cannot be read ({error}); fix it or move it away.") from error


def _as_csv(columns: Sequence[str], rows: list[_Row]) -> bytes:
    """Return the file; what other people wrote in it stays as they wrote it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
