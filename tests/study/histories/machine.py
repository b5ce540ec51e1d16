"""The state machine: after every step the journal, the labels and the exports are held against what was done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from files import Label, exported, journal, labels, standing, stored
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from people import KILLS, Worker

from hudd.review.review import Review
from hudd.review.view import view
from hudd.study import Study

FORMATS = ("csv", "coco", "images")
WHO = st.integers(0, 1)
CLASSES, OUTS = ("ant", "bee", "cat"), ("one", "two")
PATHS: dict[int, str] = {}  # of the images that are labelled
IMAGES = st.deferred(lambda: st.sampled_from(sorted(PATHS)))
EDITS = st.one_of(
    st.tuples(st.just("text"), st.tuples(st.integers(0, 3), st.sampled_from(("name", "note")))),
    st.tuples(st.just("merge"), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    st.tuples(st.just("split"), st.tuples(st.integers(0, 3))),
    st.tuples(st.just("undo"), st.just(())),
    st.tuples(st.just("label"), st.tuples(IMAGES, st.integers(0, 2))),
)
EXPORT = st.tuples(
    st.just("export"),
    st.tuples(st.lists(st.sampled_from(FORMATS), min_size=1, unique=True).map(tuple), st.sampled_from(OUTS)),
)
LABELS = st.one_of(
    st.tuples(st.just("bring"), st.tuples(IMAGES, st.integers(0, 2))),
    st.tuples(st.just("finish"), st.just(())),
)
RUNS = st.one_of(
    st.tuples(st.just("run"), st.just(())),
    st.tuples(st.just("force"), st.tuples(st.sampled_from(("cluster", "distances", "evaluate")))),
    st.tuples(st.just("recluster"), st.tuples(st.integers(3, 5))),
)
ASKED = st.sampled_from([EDITS] * 7 + [EXPORT] * 2 + [LABELS] * 2 + [RUNS]).flatmap(lambda kind: kind)


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
            before, classes, rows = journal(self.path), stored(self.path), labels(self.path)
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
            self.check_stored(asked, [ended for ended, _ in answers], classes, rows)
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

        def check_stored(
            self,
            asked: tuple[tuple[int, str, tuple, Any], ...],
            ended: list[str],
            before: dict[str, int],
            rows: dict[str, Label],
        ) -> None:
            """See that every class of the study is what it was, was brought, or was put in by who had seen it."""
            after, given = stored(self.path), (rows, labels(self.path))
            did = [
                (name, arguments, end) for (_, name, arguments, _), end in zip(asked, ended) if end != "told"
            ]
            finished = any(name == "finish" for name, _, _ in did)
            for image, path in PATHS.items():
                brought = {(args[1], end) for name, args, end in did if name == "bring" and args[0] == image}
                seen = {label for label, end in brought if end == "done"} or {before[path]}
                may_be = seen | {label for label, _ in brought}
                for row in (each[path] for each in given if finished and path in each):
                    if row.label and row.replaces in {
                        CLASSES[label] if label >= 0 else "" for label in may_be
                    }:
                        may_be = may_be | {CLASSES.index(row.label)}
                assert after[path] in may_be, f"the class that was imported for {path} is lost"
            if len(did) == len(asked) == 1 and did[0][::2] == ("finish", "done"):
                put_in = {path: CLASSES.index(row.label) for path, row in rows.items() if row.label}
                assert put_in.items() <= after.items()

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

        @rule(who=WHO, image=st.deferred(lambda: IMAGES), label=st.integers(0, 2), other=st.integers(0, 2))
        def label_one_image(self, who: int, image: int, label: int, other: int) -> None:
            """One gives a label, the other imports one, and the first puts what was given into the study."""
            self.together((who, "label", (image, label), None))
            self.together((1 - who, "bring", (image, other), None))
            self.together((who, "finish", (), None))

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
            found = {path: row.label for path, row in labels(self.path).items()}
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
