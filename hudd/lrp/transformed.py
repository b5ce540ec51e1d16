"""Weights as rules change them, made once: found again by what was done to them, not by what it is called."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from torch import Tensor

from hudd.errors import HuddError

Made = TypeVar("Made")

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_KEPT = 16  # a contraction: twice what the rule with most of them asks for


class Kept(Generic[Made]):
    """The last few things made, by key; the one that was longest not asked for goes."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, Made] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what was made for `key`, or make it."""
        if key not in self._made:
            self._made[key] = make()
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]


class Itself:
    """A thing that equals itself alone; it lives as long as the key that holds it, so its address stays its own."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self._thing is other._thing

    def __hash__(self) -> int:
        return id(self._thing)


def identity(thing: Any) -> Hashable:
    """Return a key that two callables, or values that they hold, share only if they do the same.

    A function is its code with its defaults and what it has captured: one that is written in a method has the same
    key in every call. Numbers and texts count by value and type, frozen dataclasses by class and fields, tuples item
    by item, anything else as itself.

    Parameters
    ----------
    thing : object
        A function, method, partial function, or other callable; or a value.
    """
    if isinstance(thing, _PLAIN):
        return type(thing), repr(thing)  # 0.0 is not -0.0, and 1 not True
    if isinstance(thing, tuple):
        return type(thing), *map(identity, thing)
    if isinstance(thing, types.FunctionType):
        captured = tuple(cell.cell_contents for cell in thing.__closure__ or ())
        defaults = (thing.__defaults__ or (), tuple(sorted((thing.__kwdefaults__ or {}).items())))
        return Itself(thing.__globals__), thing.__code__, identity(captured), identity(defaults)
    if isinstance(thing, types.MethodType):
        return types.MethodType, identity(thing.__func__), identity(thing.__self__)
    if isinstance(thing, functools.partial):
        return (
            functools.partial,
            identity(thing.func),
            identity(thing.args),
            identity(tuple(thing.keywords.items())),
        )
    if not isinstance(thing, type) and _is_frozen(thing):
        names = {field.name for field in dataclasses.fields(thing)} | set(getattr(thing, "__dict__", ()))
        return type(thing), *((name, identity(getattr(thing, name))) for name in sorted(names))
    return Itself(thing)


def _is_frozen(thing: Any) -> bool:
    return dataclasses.is_dataclass(thing) and bool(getattr(type(thing), "__dataclass_params__").frozen)  # noqa: B009


def same_shape(name: str, changed: Any, tensor: Tensor) -> Tensor:
    """Return what a rule made of weights, if it is a tensor of their shape; `name` is what the rule calls it."""
    if not isinstance(changed, Tensor) or changed.shape != tensor.shape:
        found = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
        raise HuddError(
            f"weights '{name}' of an LRP rule are {found}, made of {tuple(tensor.shape)}; return a tensor of the same "
            "shape."
        )
    return changed
