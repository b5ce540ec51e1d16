"""Kill commands at random and see what they leave: ``python kills.py FOLDER KILLS [COMMAND ...]``.

Run by test_kills.py. FOLDER holds the options of Study.create as ``choices.json``. Everything is imported before the
first fork, and before torch has started a thread, so that a killed command costs no import.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import h5py
import matplotlib.figure
import numpy as np
import sklearn.cluster
import torch

from hudd.cli import app, call
from hudd.export import FORMATS
from hudd.report import report
from hudd.review.review import Review
from hudd.study import Study, strategy_comparison

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
STEPS = ("test", "heatmaps", "distances", "cluster", "select", "retrain", "evaluate")
# Functions before or after whose n-th call a command is killed: those by which files change.
CHANGES = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "ftruncate")

Command = Callable[[Path], int]
LOADED = (app, strategy_comparison, matplotlib.figure, report, sklearn.cluster)  # before the first fork


def hudd(*words: str) -> Command:
    """A command line, with the study's directory for STUDY."""
    return lambda study: call([word.replace("STUDY", str(study)) for word in words])


def edit(study: Path) -> int:
    """Name the first cluster otherwise."""
    review = Review(Study.open(study))
    review.set(1, name="that" if review.of(1)["name"] == "this" else "this")
    return 0


RESTORE = hudd("run", "STUDY", "--max-clusters", "5")


def commands() -> dict[str, Command]:
    """What is killed, by name: from the study's directory to an exit code."""
    return {
        **{f"run --force {step}": hudd("run", "STUDY", "--force", step) for step in STEPS},
        "run, other settings": hudd("run", "STUDY", "--max-clusters", "4"),
        "label --export table": hudd("label", "STUDY", "--export", "STUDY/../todo.csv", "--overwrite"),
        "label --export tasks": hudd("label", "STUDY", "--export", "STUDY/../todo.json", "--overwrite"),
        "label --export folder": hudd("label", "STUDY", "--export", "STUDY/../sorted"),
        "label --import": hudd("label", "STUDY", "--import", "STUDY/../labels-given.csv", "--overwrite"),
        "retrain": hudd("retrain", "STUDY", "--compare", "hudd,random", "--runs", "1"),
        "report": hudd("report", "STUDY", "--out", "STUDY/../report"),
        "review": edit,
        **{
            f"export {name}": hudd("export", "STUDY", "--to", name, "--out", f"STUDY/../exported/{name}")
            for name in FORMATS
            if name != "fiftyone"
        },
    }


def run(command: Command, study: Path, kill: Callable[[], None] | None = None) -> tuple[int, int]:
    """Run a command in a process of its own; return the signal that ended it, or 0, and its exit code."""
    child = os.fork()
    if child == 0:
        log = os.open(study.parent / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        torch.set_num_threads(1)
        for number in SIGNALS[1:]:
            signal.signal(number, signal.SIG_DFL)  # one that is ignored here, as under nohup, is inherited
        if kill is not None:
            kill()
        code = 1
        with contextlib.suppress(SystemExit):
            code = command(study)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return (os.WTERMSIG(status), 0) if os.WIFSIGNALED(status) else (0, os.WEXITSTATUS(status))


def at_change(number: int, after: bool, sent: int) -> Callable[[], None]:
    """Have this process killed before or after the n-th call that changes a file."""

    def prepare() -> None:
        count = 0

        def wrapped(change: Callable[..., object]) -> Callable[..., object]:
            def changing(*arguments: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == number and not after:
                    os.kill(os.getpid(), sent)
                result = change(*arguments, **options)
                if count == number and after:
                    os.kill(os.getpid(), sent)
                return result

            return changing

        for name in CHANGES:
            setattr(os, name, wrapped(getattr(os, name)))

    return prepare


def at_time(seconds: float, sent: int) -> Callable[[], None]:
    """Have this process killed after a while, by the kernel's timer, whatever it does then."""

    def prepare() -> None:
        killed = os.getpid()
        if os.fork() == 0:  # a process that waits and kills, and nobody else where that one has ended
            time.sleep(seconds)
            if os.getppid() == killed:
                os.kill(killed, sent)
            os._exit(0)

    return prepare


def datasets(study: Path) -> dict[str, object]:
    """Everything in ``study.h5`` but when it was made."""
    found: dict[str, object] = {}
    with h5py.File(study / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: str(np.asarray(value).tolist()) for name, value in found.items()}


def left(root: Path) -> dict[str, str]:
    """Digest of every file that a command has left whole, as it says, but those of which this is asked otherwise."""
    found = {}
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        working = any(part.startswith(".aside-") for part in inside.parts) or path.suffix in _WORKING
        other = any(fnmatchcase(inside.as_posix(), name) for name in _OTHERWISE)
        if path.is_file() and not working and not other:
            found[inside.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


_WORKING = (".part", ".checkpoint")
# Opened and told, compared array by array, read back, appended to.
_OTHERWISE = ("study/study.h5", "study/shards/*", "study/review*", "study/.lock", "study/log.jsonl", "output")
_FOLDERS = ("sorted/", "exported/*/", "report/index-hudd-images/", "study/comparison/")


def faults(before: dict[str, str], killed: dict[str, str], after: dict[str, str]) -> list[str]:
    """Files, and folders, that a kill left neither as they were nor as they become."""
    wrong = [name for name, digest in killed.items() if digest not in (before.get(name), after.get(name))]
    parts = {name[: match.end()] for name in killed for folder in _FOLDERS if (match := _match(folder, name))}
    for part in sorted(parts):
        old, now, new = (
            {name: digest for name, digest in state.items() if name.startswith(part)}
            for state in (before, killed, after)
        )
        if now not in (old, new):
            wrong.append(part)
    return wrong


def _match(folder: str, name: str) -> re.Match[str] | None:
    return re.match(folder.replace("*", "[^/]+"), name)


def main(root: Path, kills: int, wanted: list[str]) -> None:
    """Kill the commands that begin as one of `wanted`, all by default, so often; tell how often which."""
    choices = json.loads((root / "choices.json").read_text())
    rng = random.Random(int(os.environ.get("HUDD_KILLS_SEED", "1")))
    study, every = root / "study", commands()
    done(root, "making the study", run(lambda path: Study.create(path, **choices).run() and 0, study))
    done(root, "a first table", run(every["label --export table"], study))
    shutil.copy(root / "todo.csv", root / "labels-given.csv")
    names = [name for name in every if not wanted or name.startswith(tuple(wanted))]
    took = {}
    for name in names:
        started = time.perf_counter()
        done(root, name, run(every[name], study))
        took[name] = time.perf_counter() - started
    done(root, "the settings that were", run(RESTORE, study))
    expected = datasets(study)
    killed: collections.Counter[str] = collections.Counter()
    signals: collections.Counter[str] = collections.Counter()
    attempts = 0
    while killed.total() < kills:
        name = names[attempts] if attempts < len(names) else rng.choice(names)
        attempts += 1
        number = rng.choice(SIGNALS)
        if rng.random() < 0.3:
            kill = at_time(rng.uniform(0, took[name]), number)
        else:
            kill = at_change(rng.randint(1, 12), rng.random() < 0.5, number)
        if name == "label --export folder":
            shutil.rmtree(root / "sorted", ignore_errors=True)  # it is not replaced
        before = left(root)
        ended, code = run(every[name], study, kill)
        assert ended in (0, number), f"{name} ended by signal {ended}: {(root / 'output').read_text()}"
        if not ended and code == 0:
            continue  # it was through before
        killed[name] += 1
        signals[signal.Signals(number).name] += 1
        between = left(root)
        opened = Study.open(study)
        opened.summary()
        if opened.has("clusters"):
            assert Review(opened).of(1)["name"] in ("", "this", "that")
        if name == "label --export folder" and (root / "sorted").exists():
            shutil.rmtree(root / "sorted")
        done(root, f"{name}, after a kill", run(every[name], study))
        after = left(root)
        assert not (wrong := faults(before, between, after)), f"{name} left {wrong} torn or mixed"
        if name.startswith(("run", "label --import")):
            done(root, f"the rest, after a kill of {name}", run(RESTORE, study))
            found = datasets(study)
            differs = sorted(
                key for key in expected.keys() | found.keys() if found.get(key) != expected.get(key)
            )
            assert not differs, f"after a kill of {name} the study differs in {differs}"
        over = [str(path) for path in study.rglob(".aside-*")]
        assert not over, f"{name} left {over}"
    print(json.dumps({"commands": killed, "signals": signals, "attempts": attempts}))


def done(root: Path, what: str, ended: tuple[int, int]) -> None:
    assert ended == (0, 0), f"{what} ended with {ended}: {(root / 'output').read_text()}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
