"""Results are values: nobody changes what was found."""

from dataclasses import fields

import pytest

from hudd.evaluation import PurityCoverage, Rule, UnsafeRange, VarianceReduction
from hudd.evaluation.conditions import Condition, _Feature


@pytest.mark.parametrize("kind", [Condition, PurityCoverage, Rule, UnsafeRange, VarianceReduction, _Feature])
def test_what_was_found_is_not_changed(kind):
    found = object.__new__(kind)
    with pytest.raises(AttributeError, match="cannot assign"):
        setattr(found, fields(kind)[0].name, None)
