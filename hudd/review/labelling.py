"""Labels given to the unsafe set by hand, saved as ``labels.csv`` that ``hudd label --import`` reads.

Several processes may save labels at the same time: each takes a lock, reads the file, looks whether what it was about
to change is still there, and puts a whole new file in its place.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.cells import guarded, match_cell
from hudd.errors import HuddError, UsageError
from hudd.review.review import EditConflict
from hudd.store import edit_lock, read_inside
from hudd.store.files import write_whole

if TYPE_CHECKING:
    from hudd.study import Study

_Row = dict[str, str]


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
        self.images, known = np.unique(study.selection.image), study.labels
        self._label = {image: int(known[image]) for image in self.images.tolist()}
        self._place = {self._path[image]: image for image in self._label}
        self._number = {name: at for at, name in enumerate(self.class_names)}
        self.refresh()

    def refresh(self) -> None:
        """Read what others have saved since."""
        self._given = self._read(self._rows()[1])

    def of(self, image: int) -> int:
        """Return the class of an image of the unsafe set, -1 where it is unknown."""
        self._check(image)
        return self._given.get(image, self._label[image])

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
                now = f"is '{self.class_names[there]}' now" if there >= 0 else "has no class now"
                told = f"image '{self._path[image]}' was labelled by others meanwhile: it {now}."
                raise EditConflict(told, {"label": there})
            own = [row for row in rows if self._image(row) == image]
            if not own:
                own = [{"path": guarded(self._path[image])}]
                rows += own
            for row in own:
                row["label"] = guarded(self.class_names[label]) if label >= 0 else ""
            write_whole(self.file, _as_csv(columns, rows))
            self._given = self._read(rows)

    def _check(self, image: int) -> None:
        if image not in self._label:
            raise UsageError(f"image {image} is not in the unsafe set.")

    def _image(self, row: _Row) -> int | None:
        """Return the image of the unsafe set that a row is about."""
        return self._place.get(match_cell(row["path"], self._place.__contains__))

    def _read(self, rows: list[_Row]) -> dict[int, int]:
        """Return the classes given to images of the unsafe set."""
        found = {}
        for row in rows:
            image, name = self._image(row), match_cell(row["label"], self._number.__contains__)
            if image is not None and name in self._number:
                found[image] = self._number[name]
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
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
