"""Two people at one study, one of whom may be killed: ``python histories.py FOLDER EXAMPLES``.

Run by test_histories.py. Workers are forked from a process that has imported everything and computed nothing. Each
keeps what it has read until it looks again, as an open page does, and bases its edits on that. After every step the
journal, the labels and the exports are read with json, csv and hashlib alone.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hudd.capture import export as capturing
from hudd.errors import HuddError
from hudd.export import export
from hudd.review.labelling import Labels
from hudd.review.review import Review
from hudd.review.view import view
from hudd.study import Study
from hudd.study.labels import import_labels

HERE = Path(__file__).parent
KILLS = runpy.run_path(str(HERE / "kills.py"))
FORMATS = ("csv", "coco", "images")
WHO = st.integers(0, 1)


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

    def finish(self) -> dict[str, Any]:
        if self.labels and self.labels.file.exists():
            import_labels(self.study, self.labels.file, overwrite=True)
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


def journal(study: Path) -> list[dict[str, Any]]:
    """The edits in a study's journal, each line that is whole."""
    file = study / "review.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines[1:]]


def labels(study: Path) -> dict[str, str]:
    """Class by path in a study's labels.csv; those taken back are empty."""
    file = study / "labels.csv"
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["path", "label"]
    assert len({path for path, _ in rows[1:]}) == len(rows) - 1
    return dict(rows[1:])


def standing(edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merges and splits that were not taken back."""
    undone = {edit["of"] for edit in edits if edit["edit"] == "undo"}
    return [
        edit
        for number, edit in enumerate(edits, start=1)
        if edit["edit"] in ("merge", "split") and number not in undone
    ]


def exported(out: Path) -> tuple[list[int], dict[int, str], dict[str, str]] | None:
    """Return each error's cluster, the clusters' names and the state that an export tells, if it is whole."""
    if not out.exists():
        return None
    manifest = json.loads((out / "hudd-export.json").read_text())
    listed = {name: digest for one in manifest["formats"].values() for name, digest in one["files"].items()}
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    assert found.keys() == {*listed, "hudd-export.json"}, f"{out} is not what its manifest says"
    for name, digest in listed.items():
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == digest, f"{name} is torn"
    told = []
    if "csv" in manifest["formats"]:
        with (out / "errors.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if "cluster" not in rows[0]:  # of a study that was about to be clustered again
            return None
        names = {int(row["cluster"]): row["cluster_name"] for row in rows}
        told.append(([int(row["cluster"]) for row in rows], names))
    if "coco" in manifest["formats"]:
        content = json.loads((out / "coco" / "annotations.json").read_text())
        names = {one["id"]: one["name"].partition(" ")[2] for one in content["categories"]}
        told.append(([one["category_id"] for one in content["annotations"]], names))
    if "images" in manifest["formats"]:
        sizes, names = {}, {}
        for folder in (out / "errors").iterdir():
            number, _, name = folder.name.removeprefix("cluster_").partition("_")
            sizes[int(number)], names[int(number)] = len(list(folder.iterdir())) // 2, name.replace("_", " ")
        for clusters, _ in told:
            assert sizes == {number: clusters.count(number) for number in set(clusters)}
        told.append(([number for number, size in sizes.items() for _ in range(size)], names))
    for clusters, names in told[1:]:
        assert (sorted(clusters), names) == (sorted(told[0][0]), told[0][1]), "the formats are of two states"
    return *told[0], manifest["state"]


def machine(root: Path, template: Path) -> type[RuleBasedStateMachine]:
    """The state machine; each history begins with a copy of the template."""

    class Histories(RuleBasedStateMachine):
        number = 0

        def __init__(self) -> None:
            super().__init__()
            Histories.number += 1
            self.root = root / str(Histories.number)
            self.path = self.root / "study"
            shutil.copytree(template, self.path)
            self.workers = [Worker(self.path) for _ in range(2)]
            self.texts, self.moves = 0, 0
            self.edits: list[dict[str, Any]] = []  # as the journal had them
            self.latest: dict[tuple[str, str], set[str]] = {}  # what a text may be: several after a kill
            self.labels: dict[str, set[str]] = {}
            self.reclustered = False

        # -- the two

        def together(self, *asked: tuple[int, str, tuple, Any]) -> list[tuple[str, Any]]:
            """Have workers do something, at the same time; check what they acknowledge."""
            before = journal(self.path)
            for who, name, arguments, kill in asked:
                self.workers[who].ask(name, *arguments, kill=kill)
            answers = [self.workers[who].answer() for who, *_ in asked]
            for who, *_ in asked:
                if not self.workers[who].number:
                    self.workers[who] = Worker(self.path)
            after = journal(self.path)
            assert after[: len(before)] == before == self.edits, "edits that were there are lost"
            new, self.edits = after[len(before) :], after
            acknowledged: list[int] = []
            for (_, name, arguments, _), (ended, found) in zip(asked, answers):
                if name in ("text", "merge", "split", "undo") and ended == "done":
                    at = self.check_edit(name, arguments, found, len(before), acknowledged)
                    acknowledged.append(at)
            self.note_labels(
                [(args, ended) for (_, name, args, _), (ended, _) in zip(asked, answers) if name == "label"]
            )
            killed = sum(ended == "killed" for ended, _ in answers)
            assert len(new) - len(acknowledged) <= killed, "edits that nobody has made"
            return answers

        def check_edit(
            self, name: str, arguments: tuple, found: dict[str, Any], begin: int, taken: list[int]
        ) -> int:
            """Find an acknowledged edit in the journal, and see that it is of what its maker saw."""
            for at, edit in enumerate(self.edits[begin:], start=begin):
                if edit["edit"] != name or at in taken:
                    continue
                if name == "text" and edit.get(arguments[1]) == arguments[2]:
                    assert edit["clusters"] == [found["key"]]
                    assert self.text_before(at, found["key"], arguments[1]) in (found["was"], arguments[2])
                    return at
                if name in ("merge", "split") and edit["clusters"] == found["clusters"]:
                    if not self.members_are_equal(found["seen"], at, edit["clusters"]):
                        continue  # the same edit of another person
                    return at
                if name == "undo" and standing(self.edits[: found["seen"]]) == standing(self.edits[:at]):
                    assert self.edits[edit["of"] - 1] == standing(self.edits[:at])[-1]
                    return at
            raise AssertionError(
                f"{name} was acknowledged, but no such edit of what was seen is in the journal"
            )

        def members_are_equal(self, seen: int, at: int, keys: list[str]) -> bool:
            """Whether clusters had the members when they were edited that they had when they were seen."""
            study = Study.open(self.path)
            if self.reclustered or not study.has("clusters"):
                return True
            review, paths = Review(study), study.split("test").path
            key_of = [paths[row] for row in study.errors.tolist()]

            def members(revision: int) -> list[list[int]]:
                groups = review._then(revision)
                number = {key_of[row]: number for number, row in groups.key.items()}
                return [np.flatnonzero(groups.label == number.get(key, 0)).tolist() for key in keys]

            return members(seen) == members(at)

        def text_before(self, at: int, key: str, field: str) -> str:
            for edit in reversed(self.edits[:at]):
                if edit["edit"] == "text" and edit["clusters"] == [key] and field in edit:
                    return edit[field]
            return ""

        def note_labels(self, asked: list[tuple[tuple, str]]) -> None:
            """Note what labels may be now: of two that were taken at the same time either; none after a kill."""
            taken: dict[str, set[str]] = {}
            for (image, label), ended in asked:
                if ended == "done":
                    taken.setdefault(PATHS[image], set()).add(CLASSES[label])
            self.labels |= taken
            for (image, label), ended in asked:
                if ended == "killed":
                    self.labels.setdefault(PATHS[image], {""}).add(CLASSES[label])

        def teardown(self) -> None:
            for worker in self.workers:
                worker.end()
            shutil.rmtree(self.root)

        # -- what is done

        @rule(who=WHO)
        def look(self, who: int) -> None:
            self.together((who, "look", (), None))

        @rule(who=WHO, asked=st.deferred(lambda: ASKED))
        def do(self, who: int, asked: tuple[str, tuple]) -> None:
            ((ended, found),) = self.together((who, *self.named(asked), None))
            study = Study.open(self.path)
            # Killed by what was prepared for it earlier, or told that there are no clusters at the time.
            if asked[0] == "export" and ended != "killed" and study.has("clusters"):
                assert ended == "done", found
                results = view(study)
                told = exported(self.root / asked[1][1])
                assert told is not None
                assert sorted(told[0]) == sorted(results.clusters.label.tolist())
                assert told[2]["review"] == results.review_digest

        @rule(first=st.deferred(lambda: ASKED), second=st.deferred(lambda: ASKED), looks=st.booleans())
        def do_both(self, first: tuple[str, tuple], second: tuple[str, tuple], looks: bool) -> None:
            """At the same time; both have just looked, or not."""
            if looks:
                self.together((0, "look", (), None), (1, "look", (), None))
            self.together((0, *self.named(first), None), (1, *self.named(second), None))

        @rule(
            who=WHO,
            asked=st.deferred(lambda: ASKED),
            other=st.deferred(lambda: ASKED),
            kill=st.tuples(st.integers(1, 8), st.booleans(), st.sampled_from(KILLS["SIGNALS"])),
        )
        def kill(
            self,
            who: int,
            asked: tuple[str, tuple],
            other: tuple[str, tuple],
            kill: tuple[int, bool, int],
        ) -> None:
            """One is killed at a change of a file, or later on, while the other works."""
            self.together((who, *self.named(asked), kill), (1 - who, *self.named(other), None))

        @rule()
        def move(self) -> None:
            """The study gets another name; who had it open is told, and opens it again."""
            old, self.moves = self.path, self.moves + 1
            self.path = self.root / f"study-{self.moves}"
            old.rename(self.path)
            for who, (name, arguments) in enumerate(
                (("text", (0, "name", "lost")), ("label", (min(PATHS), 1)))
            ):
                worker = self.workers[who]
                worker.ask(name, *arguments)
                assert worker.answer()[0] != "done"
                worker.end()
                self.workers[who] = Worker(self.path)
            assert not old.exists()

        def named(self, asked: tuple[str, tuple]) -> tuple[str, tuple]:
            """What is asked for; each text is another one."""
            name, arguments = asked
            self.reclustered |= name == "recluster"
            if name != "text":
                return asked
            self.texts += 1
            return name, (*arguments, f"text {self.texts}")

        # -- what holds

        @invariant()
        def no_label_is_lost(self) -> None:
            found = labels(self.path)
            assert found.keys() <= self.labels.keys()
            for path, may_be in self.labels.items():
                assert found.get(path, "") in may_be, f"the label of {path} is lost"
                self.labels[path] = {found.get(path, "")}

        @invariant()
        def no_text_is_lost(self) -> None:
            study = Study.open(self.path)
            if not study.has("clusters"):
                return
            review = Review(study)
            latest = {
                (edit["clusters"][0], field): edit[field]
                for edit in self.edits
                if edit["edit"] == "text"
                for field in ("name", "note")
                if field in edit
            }
            for (key, field), text in latest.items():
                assert review._texts[key][field] == text
            assert review.edits == len(standing(self.edits))

        @invariant()
        def no_export_is_mixed(self) -> None:
            for out in OUTS:
                exported(self.root / out)

    return Histories


CLASSES, OUTS = ("ant", "bee", "cat"), ("one", "two")
PATHS: dict[int, str] = {}  # of the images that are labelled
EDITS = st.one_of(
    st.tuples(st.just("text"), st.tuples(st.integers(0, 3), st.sampled_from(("name", "note")))),
    st.tuples(st.just("merge"), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    st.tuples(st.just("split"), st.tuples(st.integers(0, 3))),
    st.tuples(st.just("undo"), st.just(())),
    st.tuples(
        st.just("label"), st.tuples(st.deferred(lambda: st.sampled_from(sorted(PATHS))), st.integers(0, 2))
    ),
)
EXPORT = st.tuples(
    st.just("export"),
    st.tuples(st.lists(st.sampled_from(FORMATS), min_size=1, unique=True).map(tuple), st.sampled_from(OUTS)),
)
RUNS = st.one_of(
    st.tuples(st.just("finish"), st.just(())),
    st.tuples(st.just("run"), st.just(())),
    st.tuples(st.just("force"), st.tuples(st.sampled_from(("cluster", "distances", "evaluate")))),
    st.tuples(st.just("recluster"), st.tuples(st.integers(3, 5))),
)
ASKED = st.sampled_from([EDITS] * 7 + [EXPORT] * 2 + [RUNS]).flatmap(lambda kind: kind)


def capture_ahead(count: int, work: Callable[[], object]) -> None:
    """Capture the DNN, as `work` does, so many times for workers to take: it is what would take them longest."""
    original, calls = capturing._export, []

    def recording(module: torch.nn.Module, inputs: list[torch.Tensor]) -> Any:
        calls.append((module, inputs))
        return original(module, inputs)

    capturing._export = recording
    work()
    ready = [original(*calls[0]) for _ in range(count)]
    capturing._export = lambda module, inputs: ready.pop() if ready else original(module, inputs)


def main(root: Path, examples: int) -> None:
    """Try so many histories."""
    data = root / "data"
    data.mkdir()
    choices = runpy.run_path(str(HERE.parent / "fuzz" / "tiny.py"))["material"](data)
    made = lambda path: Study.create(path, **{k: v for k, v in choices.items() if k != "train"}).run() and 0  # noqa: E731
    torch.set_num_threads(
        1
    )  # so that there is no thread when workers are forked, who need not import and compile
    made(root / "template")
    study = Study.open(root / "template")
    capture_ahead(8, lambda: export(study, root / "export", formats=FORMATS))
    for image in np.unique(study.selection.image)[:4].tolist():
        PATHS[image] = study.split("improvement").path[image]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=8,
        deadline=None,
        derandomize="HUDD_HISTORIES" not in os.environ,
        database=None,
        phases=(Phase.generate,),
        verbosity=Verbosity.normal,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine(root, root / "template"), settings=chosen)
    print(json.dumps({"histories": examples}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
