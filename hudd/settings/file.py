"""Settings in a file, ``hudd.toml``: written with all of them explained, read with every mistake named."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from hudd.errors import UsageError
from hudd.field_types import fits, words
from hudd.settings.fields import Field, Panel, fields_of
from hudd.settings.study import StudySettings
from hudd.settings.training import TrainingSettings
from hudd.settings.transform import TransformSettings

FILE = "hudd.toml"
FIELDS: dict[str, Field] = {
    name: each
    for owner in (StudySettings, TransformSettings, TrainingSettings)
    for name, each in fields_of(owner).items()
    if each.option is not None
}
"""Every setting that has an option, by name."""

_INTRODUCTION = """\
# Settings of a study, for 'hudd run STUDY --config {name}'.
#
# Lines that begin with '#' are not read: take the '#' away to set what the line says. What is not set is as it was, in
# a new study the default. An option on the command line comes before what is set here. Paths are those of the folder in
# which the command is given.
"""
_TITLES = {Panel.FIRST: "What nearly every study sets"}
_TO_FILL_IN = {
    "model": "model.py:factory",
    "weights": "weights.safetensors",
    "test": "data/test",
    "train": "data/train",
    "improvement": "data/field",
}


def template(name: str = FILE) -> str:
    """Return the text of a file of that name with every setting in it, explained and with its default."""
    parts = [_INTRODUCTION.format(name=name)]
    for panel in Panel:
        parts.append(f"# ---- {_TITLES.get(panel, panel)}\n")
        parts += [_told(each) for each in FIELDS.values() if each.panel == panel]
    return "\n".join(parts)


def _told(field: Field) -> str:
    help_text = textwrap.fill(field.told(), 100, initial_indent="# ", subsequent_indent="# ")
    mark = "" if field.name in _TO_FILL_IN else "# "
    return f"{help_text}\n{mark}{field.name} = {_toml(_shown(field))}\n"


def _shown(field: Field) -> Any:
    """Return the default, or a value of the right type where the default is none."""
    if field.name in _TO_FILL_IN:
        return _TO_FILL_IN[field.name]
    if isinstance(field.default, (str, bool, int, float, tuple, dict)):
        return field.default
    kind = next((kind for kind in field.kinds if kind is not str), str)
    if field.names:
        return next(iter(field.names))
    if get_origin(kind) is tuple:
        return [1, 1] if get_args(kind)[0] is int else []
    if get_origin(kind) is dict:
        return {}
    least = field.bounds.least if field.bounds else None
    return {bool: True, int: int(least or 1), float: 0.5}.get(kind, field.metavar)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def read_file(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, by name.

    Raises
    ------
    UsageError
        If it cannot be read, is not TOML, or has a setting that is unknown or not of the right type; it names file and
        setting, and what is allowed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no file '{path}'; 'hudd init {path}' writes one.") from None
    except OSError as error:
        raise UsageError(
            f"'{path}' cannot be read: {error.strerror}; name a TOML file of settings."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"'{path}' is not TOML: {error}; 'hudd init' writes a file to start from."
        ) from error
    return dict(_settings(content, path))


def _settings(content: dict[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if name not in FIELDS:
            close = get_close_matches(name.replace("-", "_"), FIELDS, 1)
            remedy = (
                f"did you mean {close[0]}?" if close else "'hudd init' writes a file with all that there are."
            )
            raise UsageError(f"'{path}' has {name}, which is no setting; {remedy}")
        yield name, _checked(FIELDS[name], value, path)


def _checked(field: Field, value: Any, path: Path) -> Any:
    value = tuple(value) if isinstance(value, list) else value
    listed_in_a_file = field.name == "classes" and isinstance(value, str)
    if not (fits(value, field.hint) or listed_in_a_file):
        shown = list(value) if isinstance(value, tuple) else value
        raise UsageError(f"{field.name} in '{path}' is {shown!r}; give {words(field.hint)}.")
    try:
        field.check(value)
    except UsageError as error:
        raise UsageError(f"'{path}': {error}") from error
    return value
