"""Causes that a single rule describes."""

from types import SimpleNamespace

import numpy as np
import pytest

from hudd.study.joining import causes_by_rule

LEFT, RIGHT, DARK, OTHER = (np.repeat([1, 2, 3, 4], 15) == kind for kind in (1, 2, 3, 4))
CAUSE = np.repeat([1, 2, 3, 4], 15)


def results(parameters, attributes=None):
    """A hundred test images of one class, of which the first sixty are errors of four kinds."""
    correct = np.arange(100) >= 60
    test = SimpleNamespace(
        parameters=parameters,
        attributes=attributes or {},
        label=np.zeros(100, int),
        correct=correct,
        measured=None,
        counted=np.ones(100, bool),
    )
    settings = SimpleNamespace(attributes=(), units={}, seed=0)
    return SimpleNamespace(split=lambda name: test, errors=np.arange(60), settings=settings)


def columns(seed=0):
    """Rotation of two kinds, to either side, and the light of a third; usual values of all others."""
    rng = np.random.default_rng(seed)
    rotation, light = rng.uniform(-10, 10, 100), rng.uniform(0.5, 1, 100)
    rotation[:60][LEFT], rotation[:60][RIGHT] = rng.uniform(-60, -30, 15), rng.uniform(30, 60, 15)
    light[:60][DARK] = rng.uniform(0, 0.2, 15)
    return {"rotation": rotation, "light": light}


def test_both_directions_of_a_parameter_are_one_cause():
    assert causes_by_rule(results(columns()), CAUSE).tolist() == [1, 1, 3, 4]


def test_parts_of_one_range_are_one_cause_whatever_their_number():
    table = columns()
    table["light"][:60][LEFT | RIGHT] = 0.1
    table["rotation"][:] = 0
    assert causes_by_rule(results(table), CAUSE).tolist() == [1, 1, 1, 4]
    order = np.array([4, 3, 2, 1])
    assert causes_by_rule(results(table), order[CAUSE - 1]).tolist() == [1, 2, 2, 2]


def test_different_ranges_with_correct_images_between_them_stay_apart():
    table = columns()
    table["rotation"] = np.random.default_rng(0).permutation(np.linspace(-80, 80, 100))
    table["rotation"][:60][LEFT], table["rotation"][:60][RIGHT] = -20.0, 20.0
    assert causes_by_rule(results(table), CAUSE).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("missing", ["parameters", "errors"])
def test_what_was_measured_and_the_known_cause_join_nothing(missing):
    table = columns()
    given = {"cause": np.append(np.repeat("turned", 60), np.repeat("none", 40))}
    if missing == "errors":
        assert causes_by_rule(results(given | table), np.ones(60, int)).tolist() == [1]
    else:
        found = causes_by_rule(
            results(given, {"luminance": table["light"], "skew": table["rotation"]}), CAUSE
        )
        assert found.tolist() == [1, 2, 3, 4]


def test_two_values_of_a_text_are_two_causes():
    weather = np.repeat("clear", 100).astype("<U5")
    weather[:60][LEFT], weather[:60][RIGHT] = "fog", "rain"
    assert causes_by_rule(results({"weather": weather}), CAUSE).tolist() == [1, 2, 3, 4]
    weather[:60][RIGHT], weather[60:80] = "fog", "rain"  # so that "is not clear" tells less
    assert causes_by_rule(results({"weather": weather}), CAUSE).tolist()[:2] == [1, 1]
