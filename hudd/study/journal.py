"""What a study has done: which results are there and how they were made, who writes, what happened when."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py

from hudd.errors import HuddError
from hudd.ranks import Ranks
from hudd.store import append_line, check_inside, drop, sweep, writer_lock
from hudd.store.files import write_error
from hudd.study.device import choose_device
from hudd.study.graph import Declaration, Graph
from hudd.study.provenance import record
from hudd.study.results import Results
from hudd.study.versions import outdated

T = TypeVar("T")


class Journal:
    """The writing half of a study.

    Parameters
    ----------
    results : Results
        The study's reading half.
    graph : Graph
        The steps.

    Attributes
    ----------
    break_lock : bool
        Take over a lock that another machine left.
    """

    def __init__(self, results: Results, graph: Graph[Any]) -> None:
        self.results, self._graph = results, graph
        self.path, self.file, self.break_lock = results.path, results.file, False

    # -- who writes

    @property
    def ranks(self) -> Ranks:
        """The processes that work on this study together; this one alone unless torchrun started it."""
        return Ranks.current()

    def lead(self, work: Callable[[], T]) -> T:
        """Let the first process do something, see :meth:`hudd.ranks.Ranks.lead`."""
        return self.ranks.lead(work)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study's lock while the body runs."""
        check_inside(self.path)
        with writer_lock(self.path / ".lock", break_stale=self.break_lock):
            sweep(self.path)
            yield
            self.file.settle()

    @contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Open the file, as the only writer, to change it whole or not at all."""
        with self.locked(), self.file.writing() as h5:
            yield h5

    def create(self, attributes: dict[str, Any]) -> None:
        """Make the directory, and the study's file with nothing but its attributes.

        Raises
        ------
        UsageError
            If another process has made one meanwhile.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error
        with self.locked():
            self.file.create(attributes)
            self.log("created", settings=json.loads(attributes["settings"]))

    # -- results

    def is_done(self, key: str, fingerprint: str) -> bool:
        """Say whether the result `key` is there and was made from the same things."""
        with self.file.reading() as h5:
            note = h5.get(f"steps/{key}")
            return note is not None and note.attrs.get("fingerprint") == fingerprint

    def algorithm(self, key: str, fingerprint: str | None = None) -> int:
        """Return which version of its algorithm has made the result `key`, or makes it where it is not there."""
        with self.file.reading() as h5:
            note = h5.get(f"steps/{key}")
            if note is not None and (fingerprint is None or note.attrs.get("fingerprint") == fingerprint):
                return int(note.attrs.get("algorithm_version", 1))
        version: int = self._graph.maker(key).version
        return version

    def has_older(self, step: Declaration) -> bool:
        """Say whether an older version of a step's algorithm has made any of its results."""
        with self.file.reading() as h5:
            return any(old.step == step.name for old in outdated(h5, self._graph))

    def check_algorithm(self, key: str) -> None:
        """Refuse to add to the result `key` if an older version of its algorithm has made it.

        Raises
        ------
        HuddError
            Saying which version has made it, and how all of it is made again.
        """
        made_by, step = self.algorithm(key), self._graph.maker(key)
        if made_by < step.version:
            raise HuddError(
                f"more is needed of what the step '{step.name}' makes, and what '{self.path}' holds of it was made by "
                f"version {made_by} of its algorithm; this is version {step.version}, and the two are not mixed: 'hudd "
                f"run {self.path} --upgrade' makes all of it again."
            )

    @contextmanager
    def committing(self, key: str, fingerprint: str, started: float) -> Iterator[h5py.File]:
        """Open the file to put the result `key` in, whole or not at all, with a note of how it was made."""
        seconds = time.perf_counter() - started
        with self.file.writing() as h5:
            yield h5
            made = record(fingerprint, seconds, choose_device(self.results.settings.device))
            h5.require_group(f"steps/{key}").attrs.update(
                made, algorithm_version=self._graph.maker(key).version
            )
        self.log("finished", step=key, seconds=round(seconds, 3))

    def forget(self, h5: h5py.File, *keys: str) -> None:
        """Take results, and the notes of how they were made, out of the open file."""
        for key in keys:
            for name in self._graph.outputs(key):
                before, star, behind = name.partition("*")
                drop(h5, [before + layer + behind for layer in h5.get(before, ())] if star else [name])
            drop(h5, [f"steps/{key}"])

    def forget_after(self, h5: h5py.File, key: str) -> None:
        """Take everything that was made from the result `key` out of the open file."""
        self.forget(h5, *self._graph.after(key))

    def forget_step(self, step: Declaration) -> None:
        """Remove the results of a step, and all that were made from them, with their shards."""
        first = next(iter(step.outputs))
        gone = [*step.outputs, *(key for key in self._graph.after(first) if key not in step.outputs)]
        with self.writing() as h5:
            self.forget(h5, *gone)
        for kind in {kind: None for key in gone for kind in self._graph.maker(key).shards}:
            shutil.rmtree(self.path / "shards" / kind, ignore_errors=True)
        self.log("forgotten", steps=gone)

    # -- shards

    def shards(self, kind: str, fingerprint: str) -> Path:
        """Return the directory of the shards of a kind that were made from the same things."""
        return self.path / "shards" / kind / fingerprint[:16]

    def keep_shards(self, kept: Path) -> None:
        """Remove the shards of the same kind that earlier settings made."""
        for directory in kept.parent.iterdir() if kept.parent.is_dir() else ():
            if directory != kept:
                shutil.rmtree(directory, ignore_errors=True)

    # -- the log

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to ``log.jsonl``."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields})
        try:
            append_line(self.path / "log.jsonl", line)
        except OSError as error:
            raise write_error(self.path / "log.jsonl", error) from error
