"""One hunter: a process that feeds spoiled files to a target and writes down what it should not have done.

It is a process of its own, so that a crash, a hang or a gigabyte ends the hunter and not the hunt. A hang is told by
processor time, for other work on the machine must not look like one.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from hudd.errors import HuddWarning

if TYPE_CHECKING:
    from targets import Target

_PATIENCE = 20.0  # seconds of processor time for one file
_MEMORY = 3 << 30  # bytes that one file may take; a MemoryError is a finding
_LONGEST = 2000  # characters of a message
_STACKED = 0.3  # share of files that are spoiled more than once


class Finding(NamedTuple):
    """What a target did that it should not have."""

    kind: str
    where: str
    text: str


def spoiled(target: Target, rng: Random) -> bytes:
    """Draw a file."""
    data = rng.choice(target.seeds)
    while True:
        with contextlib.suppress(Exception):  # a mutation that knows the structure needs one to be left
            data = rng.choice(target.mutations)(data, rng)
        if rng.random() > _STACKED:
            return data


def judged(target: Target, path: Path) -> tuple[str, Finding | None]:
    """Give a file to a target: "accepted", "refused", or "finding" with what was wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", HuddWarning)  # a word to the user about a file that is used
            target.check(path)
    except target.allowed as error:
        text = str(error)
        told = (
            "Traceback" not in text
            and len(text) <= _LONGEST
            and text.strip().isprintable()
            and text.endswith(".")
        )
        if told or type(error) is TypeError:  # the binding lists the signatures that there are
            return "refused", None
        return "finding", Finding("no sentence", _place(error), text[:300])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever it is, it is one
        return "finding", Finding(type(error).__name__, _place(error), str(error)[:300])
    return "accepted", None


def _place(error: BaseException) -> str:
    """The innermost line of hudd that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}hudd{os.sep}" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "?"


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Let the body have its time; a body that takes more is ended with its process, also inside compiled code."""
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def hunt(name: str, target: Target, folder: Path, log: Path, seed: int, seconds: float) -> None:
    """Feed spoiled files to `target` for some seconds; append to `log` what came of it.

    Parameters
    ----------
    name : str
        Of the target.
    target : Target
        The target.
    folder : Path
        Where the files are put.
    log : Path
        JSON lines: counts, and each new finding with its file.
    seed : int
        Decides every file.
    seconds : float
        Of processor time: what else the machine does makes the hunt longer, not shorter.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + _MEMORY, -1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rng, path, counts, seen = Random(seed), folder / target.name, Counter[str](), set[tuple[str, str]]()
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    while time.process_time() - started < seconds:
        data = spoiled(target, rng)
        path.write_bytes(data)
        with watched():
            verdict, finding = judged(target, path)
        counts[verdict] += 1
        if finding and (finding.kind, finding.where) not in seen:
            seen.add((finding.kind, finding.where))
            _tell(log, finding=[name, *finding, keep(folder, name, data)])
        if not sum(counts.values()) % 50:
            _tell(log, counts=dict(counts), seconds=time.process_time() - started)
            counts.clear()
    _tell(log, counts=dict(counts), seconds=time.process_time() - started)


def keep(folder: Path, name: str, data: bytes) -> str:
    """Keep a file under the name of its target and its hash."""
    kept = folder / "findings" / f"{name}-{sha256(data).hexdigest()[:8]}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(data)
    return kept.name


def _tell(log: Path, **fields: object) -> None:
    with log.open("a") as file:
        file.write(json.dumps(fields) + "\n")
