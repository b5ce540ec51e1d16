"""Two people at one study, each in a process of their own that may be killed.

Workers are forked from a process that has imported everything and computed nothing. Each keeps what it has read until
it looks again, as an open page does, and bases its edits on that.
"""

from __future__ import annotations

import os
import runpy
import signal
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, ClassVar

import torch

from hudd.cells import to_csv
from hudd.errors import HuddError
from hudd.export import export
from hudd.review.labelling import Labels
from hudd.review.review import Review
from hudd.study import Study
from hudd.study.labels import import_labels

KILLS = runpy.run_path(str(Path(__file__).parents[1] / "kills.py"))


class Person:
    """What a worker does. It knows what it has read, and nothing of what has happened since."""

    def __init__(self, path: Path) -> None:
        self.study = Study.open(path)
        if not self.study.has("clusters"):  # somebody was killed who was about to make them again
            self.study.run()
        self.review = Review(self.study)
        self.labels = Labels(self.study) if self.study.has("selection") else None
        self.look()

    def look(self) -> dict[str, Any]:
        """Read again what others have done; return what is seen."""
        self.review.refresh()
        self.seen, self.groups = self.review.revision, self.review.groups
        self.texts = self.review.texts()
        if self.labels:
            self.labels.refresh()
            self.given = {int(image): self.labels.of(image) for image in self.labels.images}
        return {"revision": self.seen}

    def _number(self, at: int) -> int:
        numbers = sorted(self.groups.medoid)
        return numbers[at % len(numbers)]

    def _key(self, number: int) -> str:
        return self.study.split("test").path[self.study.errors[self.groups.key[number]]]

    def text(self, at: int, field: str, text: str) -> dict[str, Any]:
        number = self._number(at)
        was = {field: self.texts[number][field]}
        self.review.set(number, revision=self.seen, known=was, **{field: text})
        self.texts[number][field] = text
        return {"key": self._key(number), "was": was[field]}

    def merge(self, into: int, other: int) -> dict[str, Any]:
        pair = self._number(into), self._number(other)
        self.review.merge(*pair, revision=self.seen)
        return {"seen": self.seen, "clusters": [self._key(number) for number in pair]}

    def split(self, at: int) -> dict[str, Any]:
        number = self._number(at)
        self.review.split(number, revision=self.seen)
        return {"seen": self.seen, "clusters": [self._key(number)]}

    def undo(self) -> dict[str, Any]:
        self.review.undo(revision=self.seen)
        return {"seen": self.seen}

    def label(self, image: int, label: int) -> dict[str, Any]:
        if self.labels is None:
            raise HuddError("nothing is selected")
        self.labels.set(image, label, known=self.given.get(image))
        self.given[image] = label
        return {}

    def bring(self, image: int, label: int) -> dict[str, Any]:
        """Import a table of one label, whatever is known of the image."""
        file = self.study.path.parent / f"brought-{os.getpid()}.csv"
        row = (self.study.split("improvement").path[image], self.study.class_names[label])
        file.write_bytes(to_csv(["path", "label"], [row]))
        import_labels(self.study, file, overwrite=True)
        return {}

    def finish(self) -> dict[str, Any]:
        if self.labels is None:
            raise HuddError("nothing is selected")
        self.labels.put_into_study()
        return {}

    def export(self, formats: tuple[str, ...], out: str) -> dict[str, Any]:
        export(self.study, self.study.path.parent / out, formats=formats)
        return {}

    def run(self) -> dict[str, Any]:
        Study.open(self.study.path).run()
        return {}

    def force(self, step: str) -> dict[str, Any]:
        Study.open(self.study.path).force(step).run_step(step)
        return {}

    def recluster(self, most: int) -> dict[str, Any]:
        Study.open(self.study.path).configure(max_clusters=most).cluster()
        return {}


def work(pipe: Connection, path: Path) -> None:
    """Do what comes through the pipe, one thing after the other; answer what came of it."""
    for number in KILLS["SIGNALS"][1:]:
        signal.signal(number, signal.SIG_DFL)
    torch.set_num_threads(1)
    person = Person(path)
    pipe.send(("ready", None))
    while True:
        name, arguments, kill = pipe.recv()
        if kill is not None:
            KILLS["at_change"](*kill)()
        try:
            pipe.send(("done", getattr(person, name)(*arguments)))
        except HuddError as error:
            pipe.send(("told", str(error)))


class Worker:
    """A process that does things, from outside."""

    pipes: ClassVar[set[Connection]] = set()  # of all that live, which a new one must not keep open

    def __init__(self, path: Path) -> None:
        self.pipe, theirs = Pipe()
        self.pipes.add(self.pipe)
        self.number = os.fork()
        if self.number == 0:
            for pipe in self.pipes:
                pipe.close()
            code = 1
            with suppress(EOFError, KeyboardInterrupt):
                try:
                    work(theirs, path)
                except EOFError:
                    code = 0
                except BaseException:
                    import traceback

                    traceback.print_exc()
            os._exit(code)
        theirs.close()
        assert self.answer()[0] == "ready"

    def ask(self, name: str, *arguments: object, kill: tuple[int, bool, int] | None = None) -> None:
        self.pipe.send((name, arguments, kill))

    def answer(self) -> tuple[str, Any]:
        """What came of it: done, told, or killed."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            _, status = os.waitpid(self.number, 0)
            self.number = 0
            self.end()
            assert os.WIFSIGNALED(status), "a worker failed, see its traceback above"
            return "killed", None

    def end(self) -> None:
        self.pipes.discard(self.pipe)
        self.pipe.close()
        if self.number:
            os.waitpid(self.number, 0)
