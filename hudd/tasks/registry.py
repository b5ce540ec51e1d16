"""Tasks by name."""

from __future__ import annotations

from typing import Any

from hudd.errors import UsageError
from hudd.parts import TASKS
from hudd.tasks.base import Task, TaskSubject

DEFAULT_TASK = "classification"


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
