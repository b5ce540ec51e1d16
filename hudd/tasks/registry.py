"""Tasks by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from hudd.errors import UsageError
from hudd.parts import TASKS
from hudd.tasks.base import Task, TaskSubject
from hudd.tasks.landmarks import landmarks_of

DEFAULT_TASK = "classification"


def infer_task(targets: Sequence[str], columns: Sequence[str]) -> str:
    """Return the task of a study that names none: what the targets, names or globs among `columns`, are."""
    if not targets:
        return DEFAULT_TASK
    names = [name for glob in targets for name in columns if fnmatchcase(name, glob)]
    return "regression" if landmarks_of(names) is None else "keypoints"


def make_task(name: str | None, subject: TaskSubject) -> Task:
    """Return the task called `name`, or of the spec ``package.module:factory``; None for a classification.

    Raises
    ------
    UsageError
        If there is none, or the factory returns something else.
    """
    name = name or DEFAULT_TASK
    made: Any = TASKS.make(name, subject)
    if not isinstance(made, Task):
        raise UsageError(
            f"task '{name}' made an object of type {type(made).__name__}; it must return a hudd.extend.Task."
        )
    return made
