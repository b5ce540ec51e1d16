"""A dossier as data: what is written is valid and read back, and names stay with what they name."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.dossier import Dossier, schema
from hudd.dossier.content import FORMAT, VERSION
from hudd.errors import HuddError
from hudd.evaluation import Bound, Region
from hudd.summary.conditions import identifier, numbered

_SHARES = {"rate", "low", "high", "purity", "recall", "p_value", "share_of_failures", "rate_p_value", "lift"}
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_DIGITS = st.text("0123456789abcdef", min_size=12, max_size=12)
_NAME = st.builds("{}-{}".format, st.sampled_from(["TC", "FG"]), _DIGITS)
_BOUND = st.fixed_dictionaries(
    {"parameter": _TEXT}, optional={"low": st.floats(allow_nan=False, allow_infinity=False)}
)


def _values(kind: Any, name: str = "", owner: str = "") -> st.SearchStrategy[Any]:
    """Values of a type, as the schema has them."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.none() | _values(next(one for one in arguments if one is not type(None)), name, owner)
    if name == "region":
        return st.lists(_BOUND, max_size=2)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(_values(arguments[0], name, owner), max_size=2)
    if origin is dict:
        keys = _NAME if name == "images" else _TEXT
        values = st.booleans() if arguments[1] is Any else _values(arguments[1], name, owner)
        return st.dictionaries(keys, values, max_size=2)
    if dataclasses.is_dataclass(kind):
        return _instances(kind)
    if name == "decision" and kind is str:
        return st.sampled_from(["accepted", "rejected"])
    if name == "identifier":
        return _NAME
    if name == "format" or name == "version":
        return st.just(FORMAT if name == "format" else VERSION)
    if kind is str and "sha256" in name:
        return st.sampled_from(["", "0" * 64])
    if owner == "Picture" and name == "digest":
        return st.just("a" * 32)
    numbers = {int: st.integers(1, 10**6), float: st.floats(0, 1), bool: st.booleans(), str: _TEXT}
    return numbers[kind]


def _instances(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: _values(hint, name, kind.__name__) for name, hint in hints.items()})


@given(_instances(Dossier))
def test_a_dossier_is_valid_and_comes_back(dossier: Dossier) -> None:
    content = dossier.to_json()
    jsonschema.Draft202012Validator(schema()).validate(json.loads(content))
    assert Dossier.from_json(content) == dossier


def test_the_schema_is_one_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for name, part in schema()["$defs"].items():
        assert part["additionalProperties"] is False, name
        assert all("description" in one for one in part["properties"].values()), name


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"base": {"images": 1}},
        {"conditions": None},
        {"extra": 1},
    ],
)
def test_what_is_no_dossier_is_refused(change: dict[str, Any]) -> None:
    content = dataclasses.asdict(_smallest()) | change
    with pytest.raises(HuddError, match="no dossier"):
        Dossier.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"format": "hudd-dossier"}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(HuddError, match="no dossier"):
        Dossier.from_json(text)


def _smallest() -> Dossier:
    from hypothesis import find

    return find(_instances(Dossier), lambda dossier: True)


REGION = Region((Bound("light", low=0.5), Bound("angle", low=-20.0, high=40.0, outside=True)))


def test_an_identifier_is_of_condition_model_and_data() -> None:
    own = identifier(REGION, "model", "data")
    assert own == identifier(Region(REGION.bounds[::-1]), "model", "data")  # a conjunction has no order
    others = {
        identifier(Region(REGION.bounds[:1]), "model", "data"),
        identifier(REGION, "other", "data"),
        identifier(REGION, "model", "other"),
        identifier("light >= 0.5", "model", "data"),
        identifier(["a", "b"], "model", "data"),
    }
    assert len(others | {own}) == 6
    assert own.startswith("TC-")
    assert identifier(["a", "b"], "model", "data") == identifier(["b", "a"], "model", "data")
    assert identifier(["a"], "model", "data").startswith("FG-")


@given(st.lists(st.sampled_from("abc")))
def test_numbered_identifiers_differ(names: list[str]) -> None:
    found = numbered(names)
    assert len(set(found)) == len(names)
    assert [one.split("-")[0] for one in found] == names
