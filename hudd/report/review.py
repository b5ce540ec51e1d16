"""What people make of a study: names and notes for its clusters, labels for its unsafe set.

Both are saved at once and whole, in the study's directory: ``review.json``, and ``labels.csv`` as
``hudd label --import`` reads it.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.store.files import write_whole

if TYPE_CHECKING:
    from hudd.study import Study

LONGEST = {"name": 120, "note": 10_000}
"""Characters that a cluster's name and note may have."""


class Notes:
    """Names and notes of the clusters.

    They belong to a cluster's medoid, not to its number: a study that is clustered anew keeps those whose
    medoid is one still, and none turns up at another cluster.

    Parameters
    ----------
    study : Study
        A study that is clustered.

    Raises
    ------
    HuddError
        If ``review.json`` is there but cannot be read.
    """

    def __init__(self, study: Study) -> None:
        self.file = study.path / "review.json"
        paths, errors = study.split("test").path, study.errors
        medoids = enumerate(study.clusters.medoid.tolist(), start=1)
        self._medoid = {label: paths[int(errors[row])] for label, row in medoids}
        self._saved = self._load()

    def of(self, cluster: int) -> dict[str, str]:
        """Return the cluster's ``name`` and ``note``, empty where there is none.

        Raises
        ------
        UsageError
            If there is no such cluster.
        """
        return {"name": "", "note": "", **self._saved.get(self._key(cluster), {})}

    def set(self, cluster: int, **fields: str) -> None:
        """Save a cluster's `name` or `note` or both.

        Raises
        ------
        UsageError
            If there is no such cluster or field, or a text is too long.
        """
        for field, text in fields.items():
            if field not in LONGEST or not isinstance(text, str) or len(text) > LONGEST[field]:
                allowed = ", ".join(f"{name} (text of at most {most})" for name, most in LONGEST.items())
                raise UsageError(f"'{field}' of a cluster cannot be saved; give {allowed}.")
        saved = {**self._saved, self._key(cluster): {**self.of(cluster), **fields}}
        content = {"format": "hudd-review", "version": 1, "clusters": saved}
        write_whole(self.file, json.dumps(content, indent=1, sort_keys=True).encode())
        self._saved = saved

    def _key(self, cluster: int) -> str:
        if cluster not in self._medoid:
            raise UsageError(f"there is no cluster {cluster}; they are numbered 1 to {len(self._medoid)}.")
        return self._medoid[cluster]

    def _load(self) -> dict[str, dict[str, str]]:
        if not self.file.exists():
            return {}
        try:
            content = json.loads(self.file.read_bytes())
            clusters = content["clusters"]
            return {
                str(path): {name: str(entry[name]) for name in LONGEST if name in entry}
                for path, entry in clusters.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise HuddError(f"'{self.file}' cannot be read ({error}); mend it or move it away.") from error


class Labels:
    """Labels given to the unsafe set by hand, beside those that the study knows.

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
        self._given: dict[int, int] = {}
        if self.file.exists():
            self._load()

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
        given = {**self._given, image: label}
        if label < 0:
            del given[image]
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["path", "label"])
        writer.writerows((self._path[image], self.class_names[given[image]]) for image in sorted(given))
        write_whole(self.file, text.getvalue().encode())
        self._given = given

    def _check(self, image: int) -> None:
        if image not in self._label:
            raise UsageError(f"image {image} is not in the unsafe set.")

    def _load(self) -> None:
        place = {self._path[image]: image for image in self._label}
        number = {name: at for at, name in enumerate(self.class_names)}
        try:
            with self.file.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    if row["path"] in place and row["label"] in number:
                        self._given[place[row["path"]]] = number[row["label"]]
        except (OSError, ValueError, KeyError, csv.Error) as error:
            raise HuddError(f"'{self.file}' cannot be read ({error}); mend it or move it away.") from error
