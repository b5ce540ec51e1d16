"""Dataclass fields that say about themselves what a user is told, what is allowed and which steps read them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hudd.errors import UsageError
from hudd.field_types import check_field_types, words
from hudd.registry import Registry
from hudd.specs import is_factory

T = TypeVar("T")


class Panel(StrEnum):
    """Topics of the help, in the order in which they are shown; what nearly everybody needs comes first."""

    FIRST = "Options"
    DATA = "Model and data"
    TRANSFORM = "Transform"
    CLUSTERS = "Heatmaps and clusters"
    SELECTION = "Selection"
    RETRAINING = "Retraining"
    EVALUATION = "Evaluation"
    MACHINE = "Machine"


@dataclass(frozen=True)
class Range:
    """The numbers that are allowed; None where there is no bound."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"from {self.least} to {self.most}"
        words = {"of at least": self.least, "of at most": self.most, "above": self.above, "below": self.below}
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is true of a setting besides its name, type and default.

    Attributes
    ----------
    help : str
        What it is, for the help and the reference, without a full stop. After a colon at its end the choices are
        listed.
    panel : Panel
        The topic that it is listed under.
    steps : tuple of str
        Steps that read it; their commands have its option.
    neutral : bool
        It changes time and space, never which result a step has.
    option : str or None
        Its option, if that is not named like the setting; None if there is no option.
    metavar : str
        What stands for its value in the help, if the type does not say enough.
    choices : Registry or iterable of str
        What is allowed, where the type does not say it. With a registry, so are specs ``package.module:factory``.
    bounds : Range or None
        The numbers that are allowed.
    path : bool
        It names a file, or a spec that may hold one, and is made absolute.
    specs : bool
        Besides its choices, a spec ``package.module:factory`` is allowed.
    """

    help: str
    panel: Panel
    steps: tuple[str, ...] = ()
    neutral: bool = False
    option: str | None = ""
    metavar: str = ""
    choices: Registry | Iterable[str] = ()
    bounds: Range | None = None
    path: bool = False
    specs: bool = False


def setting(default: Any = MISSING, *, default_factory: Any = MISSING, **facts: Any) -> Any:
    """Return a dataclass field that carries a :class:`Setting` made from `facts`."""
    return field(default=default, default_factory=default_factory, metadata={"setting": Setting(**facts)})


@dataclass(frozen=True, kw_only=True)
class Field(Setting):
    """A setting with its name, its type and its default; see :func:`fields_of`."""

    name: str
    hint: Any
    default: Any

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types that a value may have, besides None."""
        union = get_origin(self.hint) in (Union, types.UnionType)
        return tuple(
            kind for kind in (get_args(self.hint) if union else [self.hint]) if kind is not type(None)
        )

    @property
    def names(self) -> Registry | tuple[str, ...]:
        """What can be chosen by name; empty where that is anything."""
        if isinstance(self.choices, Registry):
            return self.choices
        return tuple(self.choices) or tuple(_literals(self.hint))

    @property
    def flags(self) -> str:
        """Its option on the command line, "--layer" or "--skip-bad/--no-skip-bad"; empty where it has none."""
        dashed = self.name.replace("_", "-")
        plain = f"--{dashed}/--no-{dashed}" if self.kinds == (bool,) else f"--{dashed}"
        return "" if self.option is None else self.option or plain

    def told(self) -> str:
        """Return the help as a sentence; after a colon it goes on with the choices."""
        shown = f"{self.default:g}" if isinstance(self.default, float) else str(self.default)
        if not self.help.endswith(":"):
            number = isinstance(self.default, (str, int, float)) and not isinstance(self.default, bool)
            silent = not number or "default" in self.help
            return f"{self.help}." if silent else f"{self.help} (default {shown})."
        own = self.names.own if isinstance(self.names, Registry) else self.names
        names = [f"{name} (default)" if name == shown else name for name in own]
        names += ["package.module:factory"] if self.specs or isinstance(self.names, Registry) else []
        return f"{self.help} {', '.join(names[:-1])} or {names[-1]}."

    def check(self, value: Any, of: str = "") -> None:
        """Refuse a value out of its bounds, or none of the choices that hudd itself lists, see :func:`check`."""
        known = () if isinstance(self.names, Registry) else self.names
        for item in value if isinstance(value, tuple) else (value,):
            if self.bounds is not None and item is not None and item not in self.bounds:
                raise UsageError(f"{self.name}{of} is {item}; give {words(self.hint)} {self.bounds}.")
            if (
                known
                and isinstance(item, str)
                and item not in known
                and not (self.specs and is_factory(item))
            ):
                raise UsageError(f"{self.name}{of} is '{item}'; choose one of: {', '.join(known)}.")


_FOUND: dict[type, dict[str, Field]] = {}


def fields_of(kind: type) -> Mapping[str, Field]:
    """Return the settings that a dataclass declares, by name, in their order."""
    if kind not in _FOUND:
        declared = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        own = [each for each in declared if "setting" in each.metadata]
        hints, names = (
            get_type_hints(kind) if own else {},
            [fact.name for fact in dataclasses.fields(Setting)],
        )
        _FOUND[kind] = {
            each.name: Field(
                name=each.name,
                hint=hints[each.name],
                default=each.default if each.default_factory is MISSING else each.default_factory(),
                **{name: getattr(each.metadata["setting"], name) for name in names},
            )
            for each in own
        }
    return _FOUND[kind]


def check(settings: Any, of: str = "") -> None:
    """Refuse a value of the wrong type, out of its bounds, or none of the choices that hudd itself lists.

    Parameters
    ----------
    settings : dataclass
        With fields made by :func:`setting`.
    of : str
        What the fields belong to, for the message: " of a training".

    Raises
    ------
    UsageError
        Naming the field, what was given and what is allowed.
    """
    check_field_types(settings, of)
    for name, each in fields_of(type(settings)).items():
        each.check(getattr(settings, name), of)


def check_registered(settings: Any) -> None:
    """Refuse the name of a part that no package registers, and that is no spec.

    Raises
    ------
    UsageError
        Naming those that are registered.
    """
    for name, each in fields_of(type(settings)).items():
        if isinstance(each.choices, Registry):
            value = getattr(settings, name)
            for item in value if isinstance(value, tuple) else [value] * (value is not None):
                each.choices.check(item, name)


def documented(kind: type[T]) -> type[T]:
    """Add its settings to the docstring of a dataclass."""
    lines = [line for each in fields_of(kind).values() for line in (each.name, f"    {each.told()}")]
    kind.__doc__ = "\n".join([f"{kind.__doc__}", "", "Attributes", "----------", *lines])
    return kind


def _literals(hint: Any) -> Iterator[str]:
    """Yield the texts of every Literal in a type."""
    for argument in get_args(hint):
        if get_origin(hint) is Literal:
            yield argument
        else:
            yield from _literals(argument)
