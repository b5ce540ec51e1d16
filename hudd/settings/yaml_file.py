"""YAML files that people write: the plain values of YAML 1.2, no key twice, nothing that refers or runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hudd.errors import UsageError

_LARGEST = 1 << 20  # bytes; it is read by a parser that takes its time
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,300})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*|(?=[eE])))([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def read_yaml(path: Path, what: str) -> Any:
    """Return what a YAML file holds: dicts, lists, texts, numbers, True, False and None.

    Only what YAML 1.2 takes for a number is one: ``1e-3`` is, ``no``, ``010`` and ``12:30`` are texts.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What is expected in it, for messages.

    Raises
    ------
    UsageError
        If it cannot be read, is not YAML, has a key twice, or refers to a part of itself.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file '{path}'; name a YAML file of {what}.") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"'{path}' cannot be read ({reason}); name a YAML file of {what}.") from error
    return parse_yaml(content, path, what)


def parse_yaml(content: bytes, path: Path, what: str) -> Any:
    """Return what the bytes of a YAML file hold, see :func:`read_yaml`."""
    import yaml  # most commands need none

    try:
        if len(content) > _LARGEST:
            raise UsageError(f"'{path}' has more than {_LARGEST >> 20} MiB; name a YAML file of {what}.")
        root = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.BaseLoader)
        return None if root is None else _value(root, path, set())
    except UsageError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"'{path}' is not YAML ({_reason(error)}); name a YAML file of {what}.") from error


def _reason(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is not None:
        return f"{problem or 'unexpected text'} in line {mark.line + 1}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())


def _value(node: Any, path: Path, seen: set[int]) -> Any:
    """Return what a node of the document stands for."""
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise UsageError(f"'{path}' refers to another part of itself in line {line}; write that part out.")
    seen.add(id(node))
    if node.tag not in _PLAIN:
        raise UsageError(f"'{path}' has the tag {node.tag} in line {line}; write plain values, without tags.")
    if isinstance(node.value, str):
        return _scalar(node.value) if node.style is None else node.value
    if not node.value or not isinstance(node.value[0], tuple):
        return [_value(item, path, seen) for item in node.value] if node.tag.endswith("seq") else {}
    found: dict[str, Any] = {}
    for key, item in node.value:
        if not isinstance(key.value, str):
            raise UsageError(f"'{path}' has a key that is no text in line {line}; write KEY: VALUE.")
        if key.value in found:
            raise UsageError(
                f"'{path}' has '{key.value}' twice in line {key.start_mark.line + 1}; keep one of them."
            )
        found[key.value] = _value(item, path, seen)
    return found


def _scalar(text: str) -> Any:
    """Return a value that was written without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
