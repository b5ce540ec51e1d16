"""Names of rules and composites, their numbers, and which layer gets which."""

from __future__ import annotations

import pytest

from hudd.errors import UsageError
from hudd.lrp import (
    COMPOSITES,
    RULES,
    AlphaBeta,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    ZBox,
    ZPlus,
    composite_of,
    parse_rule,
)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_by_its_name(name: str) -> None:
    assert parse_rule(name) == RULES[name]()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("epsilon(0.25)", Epsilon(epsilon=0.25)),
        (" gamma ( 0.1 ) ", Gamma(gamma=0.1)),
        ("alpha-beta(2, 1)", AlphaBeta(alpha=2, beta=1)),
        ("z-box(-2.1, 2.6)", ZBox(low=-2.1, high=2.6)),
        ("z-plus()", ZPlus()),
    ],
)
def test_numbers_in_brackets(text: str, rule: object) -> None:
    assert parse_rule(text) == rule


def test_numbers_by_position_are_those_of_the_formula() -> None:
    assert Gamma(0.1) == Gamma(gamma=0.1) == parse_rule("gamma(0.1)")
    assert AlphaBeta(3, 2) == AlphaBeta(alpha=3, beta=2)
    assert ZBox(-2.0, 3.0) == ZBox(low=-2.0, high=3.0)
    assert Epsilon(0.01) == Epsilon(epsilon=0.01) == parse_rule("epsilon(0.01)")
    with pytest.raises(TypeError):
        Flat(0.1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("delta", "LRP rule 'delta' is unknown; choose one of: zero, epsilon"),
        ("epsilon(", "is unknown"),
        ("", "is unknown"),
        ("gamma(a)", "something other than numbers"),
        ("flat(1)", "'flat' takes none"),
        ("gamma(1, 2)", r"'gamma' takes at most 1 \(gamma\)"),
        ("epsilon(nan)", "epsilon of an LRP rule is nan; give a finite number that is not negative"),
        ("epsilon(-1)", "epsilon of an LRP rule is -1.0"),
        ("gamma(-1)", "gamma of an LRP rule is -1.0"),
        ("gamma(inf)", "gamma of an LRP rule is inf"),
        ("z-box(1, 0)", "z-box has low 1.0 and high 0.0; give finite numbers"),
        ("z-box(0, inf)", "z-box has low 0.0 and high inf"),
        ("alpha-beta(2, 0)", "alpha - beta must be 1"),
        ("alpha-beta(0, -1)", "beta at least 0"),
    ],
)
def test_malformed_rules(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_rule(text)


@pytest.mark.parametrize("name", COMPOSITES)
def test_every_composite_by_its_name(name: str) -> None:
    assert composite_of(name) is COMPOSITES[name]
    assert composite_of(COMPOSITES[name]) is COMPOSITES[name]


def test_the_kind_of_layer_chooses() -> None:
    composite = composite_of("epsilon-plus-flat")
    assert composite.rule_for("a", convolution=True, first=False) == ZPlus()
    assert composite.rule_for("a", convolution=False, first=False) == Epsilon()
    assert composite.rule_for("a", convolution=True, first=True) == Flat()
    everywhere = composite_of("gamma(0.5)")
    assert everywhere.rule_for("a", convolution=True, first=True) == Gamma(gamma=0.5)
    assert composite_of(Gamma()).rule_for("a", convolution=False, first=False) == Gamma()


def test_globs_override_and_the_last_match_wins() -> None:
    composite = composite_of({"*": "epsilon-plus", "features.*": "gamma", "features.0": ZBox(low=-1, high=1)})
    assert isinstance(composite, Composite)
    assert composite.rule_for("features.0", convolution=True, first=True) == ZBox(low=-1, high=1)
    assert composite.rule_for("features.3", convolution=True, first=False) == Gamma()
    assert composite.rule_for("classifier.0", convolution=False, first=False) == Epsilon()
    assert composite_of({"a": "flat"}).convolution == COMPOSITES["epsilon-plus"].convolution
    assert composite_of({"*": "hudd-2021", "a": "flat"}).last_window_wins


@pytest.mark.parametrize(("low", "high"), [((0, 0), (1, 1, 1)), ((0, 2), 1), ((), 1), (0, (1, 0))])
def test_bounds_that_are_no_box(low: object, high: object) -> None:
    with pytest.raises(UsageError, match="z-box has low"):
        ZBox(low=low, high=high)  # type: ignore[arg-type]


def test_shares_that_do_not_add_up() -> None:
    with pytest.raises(
        UsageError, match=r"'alpha-beta\(2, 0.5\)' does not conserve relevance: alpha - beta must be 1"
    ):
        AlphaBeta(alpha=2, beta=0.5)


def test_bounds_by_channel() -> None:
    assert ZBox(low=(-1, -2), high=3).low == (-1, -2)
    assert ZBox(low=0, high=(1, 2)).high == (1, 2)


def test_a_composite_is_for_all_layers() -> None:
    with pytest.raises(
        UsageError, match=r"'epsilon-plus' is a composite, which only '\*' takes; choose one of: zero"
    ):
        composite_of({"a": "epsilon-plus"})
    for rules in ({"*": "recommended"}, {"a": "recommended"}):
        with pytest.raises(UsageError, match="'recommended' is chosen for a whole model; give it alone"):
            composite_of(rules)
    with pytest.raises(UsageError, match="hudd-2021, recommended"):
        composite_of("delta")
    assert composite_of({"*": COMPOSITES["hudd-2021"], "a": "flat"}).last_window_wins


@pytest.mark.parametrize("where", ["*", "a"])
def test_what_is_no_rule(where: str) -> None:
    with pytest.raises(UsageError, match="is 3, but must be a rule or the name of one"):
        composite_of({where: 3})  # type: ignore[dict-item]


def test_malformed_mappings() -> None:
    with pytest.raises(UsageError, match="is unknown"):
        composite_of({"a": "delta"})
    with pytest.raises(UsageError, match="rules must be a name, a rule or a mapping"):
        composite_of(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is unknown"):
        composite_of("epsilon-minus")
