"""Features by name."""

from __future__ import annotations

from typing import Any

from hudd.errors import UsageError
from hudd.features.base import Features
from hudd.parts import FEATURES


def feature_kind(name: str) -> type[Features]:
    """Return the class of the features called `name`, or of the spec ``package.module:Class``.

    Raises
    ------
    UsageError
        If there is none, it cannot be imported, or it is no :class:`Features` class.
    """
    kind: Any = FEATURES.find(name)
    if not (isinstance(kind, type) and issubclass(kind, Features)):
        raise UsageError(f"features '{name}' are {kind!r}; they must be a class of hudd.extend.Features.")
    return kind
