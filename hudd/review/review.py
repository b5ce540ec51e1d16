"""What people make of a study's clusters: names, notes, merges and splits.

The study's own clustering stays as it is. An edit is saved by the images that it was about, and made again
whenever the study is read: where the study has been clustered again, edits of clusters that no longer exist do
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

from hudd.clustering.pairs import Pairs
from hudd.errors import HuddError, UsageError
from hudd.review import grouping
from hudd.review.grouping import Groups
from hudd.review.journal import FIELDS, Edit, Journal
from hudd.review.texts import checked
from hudd.study.linking import pairs_of
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Results


class EditConflict(HuddError):
    """An edit of what somebody else has changed meanwhile.

    Attributes
    ----------
    changes : dict
        What is there now: ``name`` and ``note`` of the cluster where these were changed, ``edits``, a list of what was
        merged, split or undone; ``label``, the class of an image, or ``labels``, those of several by image.
    """

    def __init__(self, message: str, changes: dict[str, Any]) -> None:
        super().__init__(message)
        self.changes = changes


@dataclass(frozen=True)
class Reviewed:
    """What people have made of the clusters at one moment.

    Attributes
    ----------
    groups : Groups
        The clusters as edited.
    texts : dict of int to dict
        Number of each cluster to its ``name`` and ``note``, empty where there is none.
    edits : int
        Merges and splits that can be undone.
    stale : int
        Those of them whose clusters the study no longer has.
    revision : int
        Number of edits of any kind that this is made of, which an edit may be based on.
    """

    groups: Groups
    texts: dict[int, dict[str, str]]
    edits: int
    stale: int
    revision: int

    def name(self, cluster: int) -> str:
        """Return the cluster's name as one line of visible characters, empty where it has none."""
        return printable(self.texts[cluster]["name"].strip()) if cluster in self.texts else ""


class Review:
    """Names, notes and edits of the clusters. Every change is saved at once, together with those of others.

    Names and notes belong to a cluster's medoid as it was found, not to its number: a study that is
    clustered again keeps those whose medoid is one still, and none turns up at another cluster.

    Every edit can say on which `revision` it is based; it is refused where others have since changed the same field
    of the same cluster, or have merged or split it. Without a revision it is made in any case.

    Parameters
    ----------
    study : Results
        A study that is clustered.

    Attributes
    ----------
    groups : Groups
        The clusters as edited.
    stale : int
        Edits of clusters that the study no longer has.

    Raises
    ------
    HuddError
        If what was saved is there but cannot be read.
    """

    def __init__(self, study: Results) -> None:
        self._found, self._study = study.clusters, study
        paths = study.split("test").path
        self._paths = [paths[row] for row in study.errors.tolist()]
        self._lock = RLock()
        self._made: dict[tuple[Edit, ...], tuple[Groups, int]] = {}
        self._journal = Journal(study.path)
        self.file = self._journal.file
        self._read()

    def refresh(self) -> bool:
        """Read what others have saved since; say whether there was anything."""
        with self._lock:
            changed = self._journal.refresh()
            if changed:
                self._read()
            return changed

    # -- reading

    @property
    def revision(self) -> int:
        """Number of edits saved so far, which an edit may be based on."""
        return len(self._journal.edits)

    @property
    def edits(self) -> int:
        """Number of merges and splits that can be undone."""
        return len(self._standing)

    def of(self, cluster: int) -> dict[str, str]:
        """Return the cluster's ``name`` and ``note``, empty where there is none.

        Raises
        ------
        UsageError
            If there is no such cluster.
        """
        return _filled(self._texts.get(self._key(cluster), {}))

    def texts(self, revision: int | None = None) -> dict[int, dict[str, str]]:
        """Return ``name`` and ``note`` of all clusters, by the numbers that they had at a revision or have now."""
        with self._lock:
            key = self._then(revision).key
            return {number: _filled(self._texts.get(self._paths[key[number]], {})) for number in sorted(key)}

    def now(self) -> Reviewed:
        """Return what has been made of the clusters so far."""
        with self._lock:
            return Reviewed(self.groups, self.texts(), self.edits, self.stale, self.revision)

    # -- editing

    def set(
        self,
        cluster: int,
        *,
        revision: int | None = None,
        known: Mapping[str, str] | None = None,
        **fields: str,
    ) -> None:
        """Save a cluster's `name` or `note` or both.

        Parameters
        ----------
        cluster : int
            Its number, as it was at `revision`.
        revision : int, optional
            What the edit is based on.
        known : mapping of str to str, optional
            The texts of these fields that the edit is based on; by default those at `revision`.
        **fields : str
            The new texts.

        Raises
        ------
        UsageError
            If there is no such cluster or field, or a text is too long or holds what cannot be stored.
        EditConflict
            If others have given these fields other texts meanwhile.
        """
        texts = tuple((field, checked(field, text)) for field, text in fields.items())

        def make() -> Edit:
            key = self._meant(revision, cluster)[0]
            there, before = _filled(self._texts.get(key, {})), dict(known or {})
            if revision is not None:
                before = {**_filled(_texts(self._journal.edits[:revision]).get(key, {})), **before}
            late = {
                field: there[field]
                for field, text in texts
                if field in before and there[field] not in (before[field], text)
            }
            if late:
                told = " and ".join(f"its {field} is now '{text}'" for field, text in late.items())
                raise EditConflict(f"cluster {cluster} was changed by others meanwhile: {told}.", late)
            return Edit("text", (key,), texts)

        self._append(make)

    def merge(self, into: int, *others: int, revision: int | None = None) -> None:
        """Merge clusters into `into`, all at once, see :func:`hudd.review.grouping.merge`.

        Raises
        ------
        UsageError
            If there is no other cluster, one does not exist, or one is named twice.
        EditConflict
            If others have merged or split one of them since `revision`.
        """

        def make() -> Edit:
            named = Counter((into, *others))
            if len(named) < 2 or max(named.values()) > 1:
                twice = next((cluster for cluster, times in named.items() if times > 1), into)
                raise UsageError(
                    f"cluster {twice} cannot be merged with itself; name two clusters or more, each once."
                )
            return Edit("merge", self._meant(revision, *named, as_they_were=True), layer=self._found.layer)

        self._append(make)

    def split(self, cluster: int, *, revision: int | None = None) -> None:
        """Split a cluster in two, see :func:`hudd.review.grouping.split`.

        Raises
        ------
        UsageError
            If the cluster does not exist or is a single error.
        EditConflict
            If others have merged or split it since `revision`.
        """

        def make() -> Edit:
            keys = self._meant(revision, cluster, as_they_were=True)
            edit = Edit("split", keys, layer=self._found.layer)
            grouping.split(self.groups, self._numbers(self.groups, edit)[0], self._pairs)  # or refuses
            return edit

        self._append(make)

    def undo(self, *, revision: int | None = None) -> None:
        """Take back the last merge or split.

        Raises
        ------
        UsageError
            If there is none.
        EditConflict
            If others have merged, split or undone anything since `revision`.
        """

        def make() -> Edit:
            self._then(revision)
            if late := self._edits_since(revision):
                raise _conflict(late)
            if not self._standing:
                raise UsageError("no merge or split is left to undo.")
            return Edit("undo", undone=self._standing[-1][0])

        self._append(make)

    # -- the journal

    def _append(self, make: Callable[[], Edit]) -> None:
        def current() -> Edit:
            self._read()
            return make()

        with self._lock:
            try:
                self._journal.append(current)
            finally:
                self._read()

    def _meant(self, revision: int | None, *clusters: int, as_they_were: bool = False) -> tuple[str, ...]:
        """Return the keys of clusters that were named as they were numbered at a revision.

        Refuses clusters that no longer exist, and `as_they_were` those that have other members now.
        """
        then = self._then(revision)
        keys = [self._key(cluster, then) for cluster in clusters]
        number = {self._paths[row]: number for number, row in self.groups.key.items()}
        for cluster, key in zip(clusters, keys):
            same = key in number and (
                not as_they_were or ((then.label == cluster) == (self.groups.label == number[key])).all()
            )
            if not same:
                raise _conflict(self._edits_since(revision))
        return tuple(keys)

    def _then(self, revision: int | None) -> Groups:
        """Return the clusters as they were at a revision, or are now."""
        if revision is None:
            return self.groups
        if not 0 <= revision <= self.revision:
            raise EditConflict(
                f"the edit is based on revision {revision}, and the review has {self.revision}: it was replaced "
                "meanwhile; read it again.",
                {"edits": []},
            )
        return self._grouped(_standing(self._journal.edits[:revision]))[0]

    def _edits_since(self, revision: int | None) -> list[str]:
        """Say which merges and splits were made or undone since a revision."""
        if revision is None:
            return []
        edits, told = self._journal.edits, []
        for number, edit in enumerate(edits[revision:], start=revision + 1):
            if edit.kind != "text":
                done = edits[edit.undone - 1] if edit.kind == "undo" else edit
                at = edit.undone if edit.kind == "undo" else number
                before = self._grouped(_standing(edits[: at - 1]))[0]
                undone = " was undone" if edit.kind == "undo" else ""
                told.append(_words(done, self._numbers(before, done)) + undone)
        return told

    def _read(self) -> None:
        """Put together what the journal says."""
        self._texts, self._standing = _texts(self._journal.edits), _standing(self._journal.edits)
        self.groups, self.stale = self._grouped(self._standing)

    def _grouped(self, standing: list[tuple[int, Edit]]) -> tuple[Groups, int]:
        """Make merges and splits; return the clusters, and how many edits were of clusters that do not exist."""
        made: tuple[Edit, ...] = ()
        groups, stale = grouping.as_found(self._found), 0
        for _, edit in standing:
            made = (*made, edit)
            if made not in self._made:
                numbers = self._numbers(groups, edit)
                if not numbers:
                    stale += 1
                elif edit.kind == "merge":
                    for other in numbers[1:]:
                        groups = grouping.merge(groups, numbers[0], other, self._pairs)
                elif (groups.label == numbers[0]).sum() > 1:
                    groups = grouping.split(groups, numbers[0], self._pairs)
                self._made[made] = groups, stale
            groups, stale = self._made[made]
        return groups, stale

    def _numbers(self, groups: Groups, edit: Edit) -> list[int]:
        """Return the numbers of the clusters that an edit is about; none where the study no longer has them."""
        number = {self._paths[row]: number for number, row in groups.key.items()}
        if edit.layer != self._found.layer or any(path not in number for path in edit.clusters):
            return []
        return [number[path] for path in edit.clusters]

    @cached_property
    def _pairs(self) -> Pairs:
        return pairs_of(self._study, self._found.layer)

    def _key(self, cluster: int, groups: Groups | None = None) -> str:
        key = (groups or self.groups).key
        if cluster not in key:
            known = ", ".join(map(str, sorted(key)))
            raise UsageError(f"there is no cluster {cluster}; choose one of: {known}.")
        path: str = self._paths[key[cluster]]
        return path


def _texts(edits: Sequence[Edit]) -> dict[str, dict[str, str]]:
    """Return the names and notes that edits have given, by the clusters' keys."""
    found: dict[str, dict[str, str]] = {}
    for edit in edits:
        if edit.kind == "text":
            found.setdefault(edit.clusters[0], {}).update(edit.texts)
    return found


def _filled(texts: Mapping[str, str]) -> dict[str, str]:
    return {field: texts.get(field, "") for field in FIELDS}


def _standing(edits: Sequence[Edit]) -> list[tuple[int, Edit]]:
    """Return the merges and splits that were not undone, each with its number."""
    undone = {edit.undone for edit in edits if edit.kind == "undo"}
    return [
        (number, edit)
        for number, edit in enumerate(edits, start=1)
        if edit.kind in ("merge", "split") and number not in undone
    ]


def _conflict(late: list[str]) -> EditConflict:
    return EditConflict(f"the clusters were changed by others meanwhile: {'; '.join(late)}.", {"edits": late})


def _words(edit: Edit, numbers: list[int]) -> str:
    """Say what an edit did, for people who were about to do something else."""
    if not numbers:
        return f"a {edit.kind} of clusters that no longer exist"
    if edit.kind == "merge":
        *others, last = map(str, numbers[1:])
        what = f"clusters {', '.join(others)} and {last} were" if others else f"cluster {last} was"
        return f"{what} merged into {numbers[0]}"
    return f"cluster {numbers[0]} was split"
