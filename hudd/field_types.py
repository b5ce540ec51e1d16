"""Values of the right type: what was given for the fields of a dataclass, checked against its annotations."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hudd.errors import UsageError

_WORDS = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}
_LARGEST = 2**63 - 1


def check_field_types(instance: Any, of: str = "") -> None:
    """Refuse a dataclass with a field of the wrong type, from a file or a caller that no type checker has seen.

    Parameters
    ----------
    instance : dataclass
        Annotated by str, int, float, bool, tuples, dicts, callables, literals (texts) and their unions.
    of : str
        What the fields belong to, for the message: " of a training".

    Raises
    ------
    UsageError
        Naming the field, what was given and what is allowed.
    """
    for name, hint in _hints(type(instance)).items():
        value = getattr(instance, name)
        if not fits(value, hint):
            raise UsageError(f"{name}{of} is {value!r}; give {words(hint)}.")


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def fits(value: Any, hint: Any) -> bool:
    """Say whether a value is of a type, as :func:`check_field_types` takes types."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            fits(key, arguments[0]) and fits(item, arguments[1]) for key, item in value.items()
        )
    if origin is Callable:
        return callable(value)
    if origin is Literal:
        return isinstance(value, str)  # which one, its owner says
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return (
            number and abs(value) <= _LARGEST if isinstance(value, int) else number and math.isfinite(value)
        )
    return hint is Any or isinstance(value, hint)


def words(hint: Any) -> str:
    """Return in words what values a type has, None aside: "a whole number"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(words(argument) for argument in arguments if argument is not types.NoneType)
    if origin is tuple:
        return f"a list, each {words(arguments[0])}"
    if origin is dict:
        return f"names, each with {words(arguments[1])}"
    if origin is Callable:
        return "a function"
    return "text" if origin is Literal else _WORDS.get(hint, "a value")
