"""All attributes of some images: hudd's own, and those of parts that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from hudd.attributes.base import Attribute, Measure, Pictures
from hudd.errors import HuddError, UsageError
from hudd.parts import ATTRIBUTES

OWN = tuple(ATTRIBUTES.own)
_PIXELS = 1 << 19  # channels of pixels measured at once: what is made of them stays in a processor's cache


def measure_of(name: str) -> Measure:
    """Return the measure called `name`.

    Raises
    ------
    UsageError
        If there is none, it cannot be imported, or what it is is no :class:`Measure`.
    """
    made: Measure = (
        ATTRIBUTES.make(name) if isinstance(ATTRIBUTES.find(name), type) else ATTRIBUTES.find(name)
    )
    listed = getattr(made, "attributes", None)
    if not callable(made) or not listed or not all(isinstance(one, Attribute) for one in listed):
        raise UsageError(
            f"attributes '{name}' are {made!r}; they must be callable and list hudd.extend.Attribute in `attributes`."
        )
    return made


def named_attributes(names: Sequence[str] = ()) -> dict[str, Attribute]:
    """Return hudd's own attributes and those of further measures, by name.

    Raises
    ------
    UsageError
        As :func:`measure_of`, and if two of them have one name, or a name that cannot be kept.
    """
    found: dict[str, Attribute] = {}
    for name in dict.fromkeys((*OWN, *names)):
        for attribute in measure_of(name).attributes:
            if attribute.name in found:
                raise UsageError(f"attribute '{attribute.name}' of '{name}' is there already; rename it.")
            if not attribute.name.isidentifier():
                raise UsageError(
                    f"an attribute of '{name}' is called '{attribute.name}'; give it a name of letters, digits and "
                    "underscores."
                )
            found[attribute.name] = attribute
    return found


def attributes_of(
    names: Sequence[str] = (),
) -> Callable[..., dict[str, np.ndarray]]:
    """Return a function that measures decoded images, each by itself, whatever their sizes.

    Parameters
    ----------
    names : sequence of str
        Measures to use besides hudd's own.

    Returns
    -------
    callable
        Takes n images, (H, W) or (H, W, 3) uint8, the file that each is from, or None, and, optionally, the bytes of
        each that lies encoded in a larger file, or None; returns (n,) float32 numbers by attribute.

    Raises
    ------
    UsageError
        As :func:`named_attributes`.
    """
    known = named_attributes(names)
    measures = {name: measure_of(name) for name in dict.fromkeys((*OWN, *names))}

    def measure(
        images: Sequence[np.ndarray],
        files: Sequence[Path | None],
        encoded: Sequence[bytes | None] | None = None,
    ) -> dict[str, np.ndarray]:
        table = {name: np.full(len(images), np.nan, np.float32) for name in known}

        def put(names: Iterable[str], rows: list[int]) -> None:
            contents = [encoded[row] for row in rows] if encoded is not None else ()
            pictures = Pictures([images[row] for row in rows], [files[row] for row in rows], contents)
            for name in names:
                with ATTRIBUTES.attributing_errors(name):
                    _put(table, name, measures[name], pictures, rows)

        others = [name for name in measures if name not in OWN]
        for rows in _alike(images):
            few = max(1, _PIXELS // max(1, images[rows[0]].size))
            for start in range(0, len(rows), few):
                put(OWN, rows[start : start + few])
            if others:
                put(others, rows)
        return table

    return measure


def _put(
    table: dict[str, np.ndarray], name: str, measure: Measure, pictures: Pictures, rows: list[int]
) -> None:
    values = measure(pictures)
    for attribute in measure.attributes:
        column = np.asarray(values.get(attribute.name, ()))
        if column.shape != (len(rows),) or column.dtype.kind not in "biuf":
            raise HuddError(
                f"attributes '{name}' gave {column.dtype} of shape {column.shape} as '{attribute.name}' of {len(rows)} "
                "images; they must give a number of each."
            )
        column = column.astype(np.float32)
        table[attribute.name][rows] = np.where(np.isfinite(column), column, np.nan)


def _alike(images: Sequence[np.ndarray]) -> list[list[int]]:
    """Rows of the images of each shape."""
    rows: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image.shape, []).append(row)
    return list(rows.values())
