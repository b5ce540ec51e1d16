"""Fields are held against their annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from hudd.errors import UsageError
from hudd.field_types import check_field_types


@dataclass
class Choices:
    name: str = "a"
    count: int = 1
    share: float | None = 0.5
    globs: tuple[str, ...] | None = ("a", "b")
    table: dict[str, float] | None = None
    free: dict[str, Any] | None = None
    loss: str | Callable[[int], int] = len
    kind: Literal["x", "y"] = "x"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"share": 1},
        {"share": None},
        {"globs": ()},
        {"table": {"a": 1}},
        {"free": {"a": []}},
        {"loss": "mse"},
    ],
)
def test_what_fits(given):
    check_field_types(Choices(**given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": 1}, "name of a case is 1; give text."),
        ({"count": "1"}, "count of a case is '1'; give a whole number."),
        ({"count": True}, "count of a case is True; give a whole number."),
        ({"count": 1.5}, "count of a case is 1.5; give a whole number."),
        ({"count": 2**63}, "count of a case is 9223372036854775808; give a whole number."),
        ({"share": float("nan")}, "share of a case is nan; give a finite number."),
        ({"share": 10**400}, "give a finite number."),
        ({"globs": ("a", 1)}, "globs of a case is ('a', 1); give a list, each text."),
        ({"table": {"a": "b"}}, "table of a case is {'a': 'b'}; give names, each with a finite number."),
        ({"free": [1]}, "give names, each with a value."),
        ({"loss": 1}, "loss of a case is 1; give text or a function."),
        ({"kind": 3}, "kind of a case is 3; give text."),
    ],
)
def test_what_does_not_fit(given, says):
    with pytest.raises(UsageError) as caught:
        check_field_types(Choices(**given), " of a case")
    assert says in str(caught.value)
