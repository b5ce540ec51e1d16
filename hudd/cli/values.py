"""What was typed for a setting, as the value that the setting has."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from hudd.errors import UsageError
from hudd.settings import Field, TransformSettings, fields_of


def read(setting: Field, typed: Any) -> Any:
    """Return the value that was typed for a setting, by the setting's type.

    Raises
    ------
    UsageError
        If it is not of the form that such a value has.
    """
    if not isinstance(typed, str):
        return typed
    if setting.name == "classes":
        from hudd.data.names import read_class_names  # torch takes seconds, and the help needs none

        return read_class_names(typed)
    if setting.name in fields_of(TransformSettings):
        return _numbers(setting.name, typed)
    if setting.name == "layer" and typed == "auto":
        return None
    for kind in setting.kinds:
        if get_origin(kind) is tuple:
            return tuple(part.strip() for part in typed.split(",") if part.strip())
        if get_origin(kind) is dict and ("=" in typed or str not in setting.kinds):
            pairs = _pairs(setting.name, typed)
            number = get_args(kind)[1] is float
            return {name: _number(setting.name, text) for name, text in pairs.items()} if number else pairs
    return typed


def _pairs(name: str, typed: str) -> dict[str, str]:
    """Read 'NAME=VALUE,NAME=VALUE'."""
    # The commas of a rule's numbers stand in brackets: "0=z-box(0, 1),*=epsilon".
    parts = [part.strip().partition("=") for part in re.split(r",(?![^(]*\))", typed) if part.strip()]
    if not all(key and value for key, _, value in parts):
        raise UsageError(f"--{name} is '{typed}'; write it as NAME=VALUE,NAME=VALUE.")
    return {key.strip(): value.strip() for key, _, value in parts}


def _number(name: str, typed: str) -> float:
    try:
        return float(typed)
    except ValueError:
        raise UsageError(f"--{name} has '{typed}' where a number belongs.") from None


def _numbers(name: str, typed: str) -> Any:
    """Read the size or the numbers of a transform."""
    try:
        if name == "resize":
            sides = [int(part) for part in typed.lower().split("x")]
            return (sides * 2)[:2] if len(sides) <= 2 else sides
        numbers = tuple(float(part) for part in typed.split(","))
        return numbers[0] if len(numbers) == 1 else numbers
    except ValueError:
        form = "45 or 45x60" if name == "resize" else "0.5 or 0.485,0.456,0.406"
        raise UsageError(f"--{name} is '{typed}'; write it as {form}.") from None
