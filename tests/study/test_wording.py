from types import SimpleNamespace

import numpy as np
import pytest

from hudd.study.wording import rules_of


def results(parameters, attributes, units=None):
    """Forty test images of one class; the first twenty are errors, of two kinds, ten each."""
    correct = np.arange(40) >= 20
    test = SimpleNamespace(
        parameters=parameters,
        attributes=attributes,
        label=np.zeros(40, int),
        correct=correct,
        measured=None,
        counted=np.ones(40, bool),
    )
    settings = SimpleNamespace(attributes=(), units=units or {}, seed=0)
    return SimpleNamespace(split=lambda name: test, errors=np.arange(20), settings=settings)


KIND = np.repeat([1, 2], 10)
SMALL = np.where(np.arange(40) < 10, 4.0, 20.0)


@pytest.mark.parametrize(
    ("parameters", "attributes", "units", "unit"),
    [
        ({}, {"size": SMALL}, {}, " px"),
        ({"size": SMALL}, {"size": np.full(40, 32.0)}, {}, ""),
        ({"size": SMALL}, {"size": np.full(40, 32.0)}, {"size": "m"}, " m"),
    ],
    ids=["measured", "of the data", "of the data with a unit"],
)
def test_units_of_attributes_are_not_those_of_parameters_of_the_same_name(
    parameters, attributes, units, unit
):
    [rule, _] = rules_of(results(parameters, attributes, units), KIND)
    assert rule.text == f"size < 13{unit}"


def test_a_parameter_called_turn_may_lie_below_a_bound():
    [rule, _] = rules_of(results({"turn": SMALL}, {}), KIND)
    assert rule.text == "turn < 13"
