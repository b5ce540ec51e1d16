"""Unsafe ranges are the shortest that hold their share, on a line and on a circle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.evaluation import unsafe_ranges, variance_reduction


def ranges(values, labels, share=0.9, angles=None, threshold=0.5):
    found = variance_reduction({"p": values}, labels, angles=angles)
    return unsafe_ranges({"p": values}, labels, found, angles=angles, threshold=threshold, share=share)


def test_by_hand():
    values = np.array([20.0, 21, 22, 23, 60, 10, 90, 50, 70, 30])
    labels = np.array([1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    (found,) = ranges(values, labels, share=0.8)
    assert (found.cluster, found.parameter, found.low, found.high) == (1, "p", 20.0, 23.0)
    assert found.share_of_all == 0.4
    assert found.to_dict()["reduction"] == found.reduction > 0.5


def test_what_lies_outside_on_either_side_does_not_count_to_all():
    values = np.array([20.0, 21, 22, 23, 19.5, 10, 90, 23.5, 22.5, np.nan])
    labels = np.repeat([1, 2], [4, 6])
    (found,) = ranges(values, labels, share=1.0)
    assert (found.low, found.high, found.share_of_all) == (20, 23, 5 / 9)


def test_the_most_reduced_parameter_comes_first_and_what_is_at_the_threshold_not_at_all():
    labels = np.repeat([1, 2], 4)
    parameters = {
        "half": np.array([0.0, 1, 0, 1, 9, 9, 0, 0]),
        "none": np.array([0.0, 9, 0, 9, 0, 9, 0, 9]),
        "most": np.array([3.0, 3, 3, 3, 9, 0, 5, 7]),
    }
    found = variance_reduction(parameters, labels)
    listed = [(one.cluster, one.parameter) for one in unsafe_ranges(parameters, labels, found)]
    assert listed == [(1, "most"), (1, "half")]
    at = float(found.reduction[0, 0])
    listed = [one.parameter for one in unsafe_ranges(parameters, labels, found, threshold=at)]
    assert listed == ["most"]


def test_angles_beyond_their_period_are_the_same():
    values = np.array([-10.0, 725, 5, 370, 90, 200, 270, 180])
    labels = np.repeat([1, 2], 4)
    (found,) = ranges(values, labels, share=1.0, angles={"p": 360})
    assert (found.low, found.high, found.share_of_all) == (350, 10, 0.5)


def test_an_arc_may_run_through_the_end_of_the_period():
    values = np.array([350.0, 355, 5, 10, 90, 200, 270, 180])
    labels = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    (found,) = ranges(values, labels, share=1.0, angles={"p": 360})
    assert (found.low, found.high) == (350.0, 10.0)
    assert found.share_of_all == 0.5


@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=20), st.sampled_from([0.5, 0.9, 1.0]), st.booleans()
)
def test_no_shorter_range_holds_the_share(members, share, circular):
    period = 40 if circular else None
    values = np.array([*members, -1000.0, 1000.0, 13])
    labels = np.r_[np.ones(len(members), int), 0, 0, 0]
    (found,) = ranges(values, labels, share, {"p": period} if circular else None, threshold=-np.inf)
    need = math.ceil(share * len(members) - 1e-9)
    points = [m % period for m in members] if circular else members

    def length(low, high):
        return (high - low) % period if circular else high - low

    def held(low, high):
        if low <= high:
            return sum(low <= m <= high for m in points)
        return sum(m >= low or m <= high for m in points) if circular else 0

    assert held(found.low, found.high) >= need
    shorter = [length(a, b) for a in points for b in points if held(a, b) >= need]
    assert length(found.low, found.high) == pytest.approx(min(shorter))


def test_wrong_share_is_named():
    for share in (0, -0.5, 1.01):
        with pytest.raises(UsageError, match="share must be above 0 and at most 1"):
            ranges(np.arange(4.0), np.array([1, 1, 2, 2]), share=share)
