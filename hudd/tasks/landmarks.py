"""Landmarks by the names of the columns that hold them."""

from __future__ import annotations

from collections.abc import Sequence

_ENDS = (("_x", "_y"), (".x", ".y"))


def landmarks_of(names: Sequence[str]) -> dict[str, list[int]] | None:
    """Return the landmarks that columns called ``NAME_x`` and ``NAME_y`` hold, each with the places of its two columns.

    None where some column is not one of such a pair.
    """
    place = {name: at for at, name in enumerate(names)}
    found: dict[str, list[int]] = {}
    for name, at in place.items():
        for x, y in _ENDS:
            if name.endswith(x) and name[: -len(x)] + y in place:
                found[name[: -len(x)]] = [at, place[name[: -len(x)] + y]]
                break
    return found if found and 2 * len(found) == len(names) else None
