"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from hudd.data import ImageSource
from hudd.errors import UsageError
from hudd.parts import TASKS
from hudd.tasks.base import Task, TaskSubject
from hudd.tasks.landmarks import landmarks_of

DEFAULT_TASK = "classification"


def infer_task(targets: Sequence[str], source: ImageSource, outputs: Callable[[], int] = lambda: 0) -> str:
    """Return the task of a study that names none.

    Parameters
    ----------
    targets : sequence of str
        Names or globs of the columns to predict.
    source : ImageSource
        The test set.
    outputs : callable
        Returns how many numbers the DNN has for an image, 0 where that is not known.
    """
    globs = source.named(targets)
    if not globs:
        two = len(source) and set(source.labels.tolist()) <= {0, 1}
        return "binary" if two and outputs() == 1 else DEFAULT_TASK
    names = [name for glob in globs for name in source.parameters if fnmatchcase(name, glob)]
    if landmarks_of(names) is not None:
        return "keypoints"
    columns = [source.parameters[name] for name in names]
    return "multilabel" if columns and all(map(_says_yes_or_no, columns)) else "regression"


def _says_yes_or_no(values: np.ndarray) -> bool:
    """Say whether a column holds zeros and ones alone."""
    if values.dtype.kind != "f":
        return False
    return set(values[np.isfinite(values)].tolist()) <= {0.0, 1.0}


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
