"""The errors that a user meets. Each says what was received, what is allowed and what to do."""

from __future__ import annotations


class HuddError(Exception):
    """Base of every error that hudd raises on purpose: the work failed.

    ``exit_code`` is what the command line returns: 1, the work failed; 2, the call was wrong. ``shared`` says that
    it was raised in all processes of a run alike, so that one of them tells it.
    """

    exit_code = 1
    shared = False


class UsageError(HuddError, ValueError):
    """The call was wrong: a path, name, shape, dtype or option that cannot be used."""

    exit_code = 2


class UnsupportedOperation(UsageError):
    """A model holds an operation that has no conserving relevance rule.

    Parameters
    ----------
    operation : str
        The operation as torch names it, e.g. ``aten.cumsum.default``.
    module : str
        Path of the module that calls it, e.g. ``encoder.layers.3``; empty for the model itself.
    remedy : str
        What the user can do about it, as a sentence.
    """

    def __init__(self, operation: str, module: str, remedy: str) -> None:
        self.operation, self.module, self.remedy = operation, module, remedy
        where = f"module '{module}'" if module else "the model's own forward"
        super().__init__(f"no relevance rule for operation {operation} in {where}. {remedy}")
