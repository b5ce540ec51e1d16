"""The errors that a user meets. Each says what was received, what is allowed and what to do."""

from __future__ import annotations

import re

_LONGEST = 1500  # characters of a message; what is cut out is in its middle, for the remedy stands at the end
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]+(?=@)"), "***:***"),  # name and password in an address
    (
        re.compile(
            r"(?i)\b((?:[\w-]*[_-])?(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)['\"]?\s*[=:]\s*)\S+"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.+/=-]{8,}"), r"\1***"),
)


def one_line(text: str) -> str:
    """Return `text` as a terminal may show it: one line, nothing that steers the terminal, no password, not endless.

    File names, labels and other people's errors end up in messages; none of them may move the cursor, fill the
    screen or tell a credential.
    """
    text = re.sub(r"\s*[\r\n]+\s*", " ", _shortened(text, 2 * _LONGEST).strip())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    for secret, mask in _SECRETS:
        text = secret.sub(mask, text)
    return _shortened(text, _LONGEST)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 407]} [...] {text[-400:]}"


class HuddError(Exception):
    """Base of every error that hudd raises on purpose: the work failed.

    ``exit_code`` is what the command line returns: 1, the work failed; 2, the call was wrong. ``shared`` says that
    it was raised in all processes of a run alike, so that one of them tells it. The message is one printable line,
    see :func:`one_line`.
    """

    exit_code = 1
    shared = False

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


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


class HuddWarning(UserWarning):
    """What a user should know though the work goes on; the command line prints it as a line on standard error."""
