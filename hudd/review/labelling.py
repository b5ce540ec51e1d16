"""Labels given to the unsafe set by hand, saved as ``labels.csv`` that ``hudd label --import`` reads."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.store import read_inside
from hudd.store.files import write_whole

if TYPE_CHECKING:
    from hudd.study import Study


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
        self._label = {image: int(study.labels[image]) for image in self.images.tolist()}
        self._given = self._read(self._rows())

    def of(self, image: int) -> int:
        """Return the class of an image of the unsafe set, -1 where it is unknown."""
        self._check(image)
        return self._given.get(image, self._label[image])

    def set(self, image: int, label: object) -> None:
        """Save the class number of an image; -1 takes back what was given by hand.

        Raises
        ------
        UsageError
            If the image is not in the unsafe set or there is no such class.
        """
        self._check(image)
        if not isinstance(label, int) or isinstance(label, bool) or not -1 <= label < len(self.class_names):
            raise UsageError(f"class {label!r} does not exist; give 0 to {len(self.class_names) - 1}, or -1.")
        rows, path = self._rows(), self._path[image]
        if all(row["path"] != path for row in rows):
            rows.append({"path": path})
        for row in rows:
            if row["path"] == path:
                row["label"] = self.class_names[label] if label >= 0 else ""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.file, text.getvalue().encode())
        self._given = self._read(rows)

    def _check(self, image: int) -> None:
        if image not in self._label:
            raise UsageError(f"image {image} is not in the unsafe set.")

    def _read(self, rows: list[dict[str, str]]) -> dict[int, int]:
        """Return the classes given to images of the unsafe set."""
        place = {self._path[image]: image for image in self._label}
        number = {name: at for at, name in enumerate(self.class_names)}
        return {
            place[row["path"]]: number[row["label"]]
            for row in rows
            if row["path"] in place and row["label"] in number
        }

    def _rows(self) -> list[dict[str, str]]:
        """Return all of the file, which may hold labels of other selections and columns of other people."""
        if not self.file.exists():
            return []
        try:
            with io.StringIO(read_inside(self.file).decode("utf-8-sig"), newline="") as stream:
                reader = csv.DictReader(stream, restval="")
                rows = list(reader)
                if rows and not {"path", "label"} <= set(rows[0]):
                    raise ValueError("it has no columns path and label")
                if any(None in row for row in rows):
                    raise ValueError("a row has more cells than the header")
                return rows
        except (OSError, ValueError, csv.Error) as error:
            raise HuddError(f"'{self.file}' cannot be read ({error}); fix it or move it away.") from error
