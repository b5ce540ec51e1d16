"""What people make of a study's clusters: names, notes, merges and splits, saved in ``review.json``.

The study's own clustering stays as it is. An edit is saved by the images that it was about, and made again
whenever the study is read: where the study has been clustered anew, edits of clusters that are no more do
nothing.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hudd.errors import HuddError, UsageError
from hudd.review import grouping
from hudd.store import read_inside
from hudd.store.files import write_whole

if TYPE_CHECKING:
    from hudd.study import Study

LONGEST = {"name": 120, "note": 10_000}
"""Characters that a cluster's name and note may have."""


class Review:
    """Names, notes and edits of the clusters. Every change is saved at once and whole.

    Names and notes belong to a cluster's medoid as it was found, not to its number: a study that is
    clustered anew keeps those whose medoid is one still, and none turns up at another cluster.

    Parameters
    ----------
    study : Study
        A study that is clustered.

    Attributes
    ----------
    groups : hudd.review.grouping.Groups
        The clusters as edited.
    stale : int
        Edits of clusters that the study has no more.

    Raises
    ------
    HuddError
        If ``review.json`` is there but cannot be read.
    """

    def __init__(self, study: Study) -> None:
        self.file = study.path / "review.json"
        self._found, self._study = study.clusters, study
        paths = study.split("test").path
        self._paths = [paths[row] for row in study.errors.tolist()]
        self._notes, self._edits = self._load()
        self._replay()

    # -- names and notes

    def of(self, cluster: int) -> dict[str, str]:
        """Return the cluster's ``name`` and ``note``, empty where there is none.

        Raises
        ------
        UsageError
            If there is no such cluster.
        """
        return {"name": "", "note": "", **self._notes.get(self._key(cluster), {})}

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
        self._save({**self._notes, self._key(cluster): {**self.of(cluster), **fields}}, self._edits)

    # -- merging and splitting

    @property
    def edits(self) -> int:
        """Number of merges and splits that can be undone."""
        return len(self._edits)

    def merge(self, into: int, other: int) -> None:
        """Merge cluster `other` into `into`, see :func:`hudd.review.grouping.merge`."""
        grouping.merge(self.groups, into, other, self._distances)  # refuses before anything is saved
        self._edit({"merge": [self._key(into), self._key(other)]})

    def split(self, cluster: int) -> None:
        """Split a cluster in two, see :func:`hudd.review.grouping.split`."""
        grouping.split(self.groups, cluster, self._distances)
        self._edit({"split": self._key(cluster)})

    def undo(self) -> None:
        """Take back the last merge or split.

        Raises
        ------
        UsageError
            If there is none.
        """
        if not self._edits:
            raise UsageError("no merge or split is left to undo.")
        self._save(self._notes, self._edits[:-1])
        self._replay()

    def _edit(self, edit: dict[str, Any]) -> None:
        self._save(self._notes, [*self._edits, {"layer": self._found.layer, **edit}])
        self._replay()

    def _replay(self) -> None:
        groups, self.stale = grouping.as_found(self._found), 0
        for edit in self._edits:
            number = {self._paths[row]: number for number, row in groups.key.items()}
            named = edit.get("merge") or [edit.get("split")]
            if edit.get("layer") != self._found.layer or any(path not in number for path in named):
                self.stale += 1
            elif "merge" in edit:
                groups = grouping.merge(groups, number[named[0]], number[named[1]], self._distances)
            elif (groups.label == number[named[0]]).sum() > 1:
                groups = grouping.split(groups, number[named[0]], self._distances)
        self.groups = groups

    @cached_property
    def _distances(self) -> Any:
        return self._study.distances_of(self._found.layer)

    # -- the file

    def _key(self, cluster: int) -> str:
        if cluster not in self.groups.key:
            known = ", ".join(map(str, sorted(self.groups.key)))
            raise UsageError(f"there is no cluster {cluster}; choose one of: {known}.")
        return self._paths[self.groups.key[cluster]]

    def _save(self, notes: dict[str, dict[str, str]], edits: list[dict[str, Any]]) -> None:
        content = {"format": "hudd-review", "version": 1, "clusters": notes, "edits": edits}
        write_whole(self.file, json.dumps(content, indent=1, sort_keys=True).encode())
        self._notes, self._edits = notes, edits

    def _load(self) -> tuple[dict[str, dict[str, str]], list[dict[str, Any]]]:
        if not self.file.exists():
            return {}, []
        try:
            content = json.loads(read_inside(self.file))
            notes = {
                str(path): {name: str(entry[name]) for name in LONGEST if name in entry}
                for path, entry in content["clusters"].items()
            }
            return notes, [_edit_of(entry) for entry in content.get("edits", [])]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise HuddError(f"'{self.file}' cannot be read ({error}); mend it or move it away.") from error


def _edit_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a saved edit, read strictly."""
    if "merge" in entry:
        into, other = entry["merge"]
        if str(into) == str(other):
            raise ValueError("a cluster merged with itself")
        return {"layer": str(entry["layer"]), "merge": [str(into), str(other)]}
    return {"layer": str(entry["layer"]), "split": str(entry["split"])}
