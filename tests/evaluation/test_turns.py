"""How far images are turned, against the mean direction written from its definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hudd.evaluation.turns import turn


def difference(first, second):
    """Of directions in degrees, which are the same after half a turn."""
    return (first - second + 90) % 180 - 90


def test_the_reference_is_the_mean_of_the_correct_images_of_the_class_that_have_edges():
    tilt = np.array([10.0, 30, 50, np.nan, 100, 90, np.nan, 5])
    label = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    correct = np.array([1, 1, 0, 1, 1, 0, 1, 0], bool)
    found = turn(tilt, label, correct)
    np.testing.assert_allclose(found[:3], [-10, 10, 30], atol=1e-9)  # against 20
    np.testing.assert_allclose(found[4:6], [0, -10], atol=1e-9)
    assert np.isnan(found[[3, 6, 7]]).all()  # no edges; no correct image with edges; no correct image


def test_directions_are_averaged_over_the_seam():
    found = turn(np.array([170.0, 10, 0]), np.zeros(3, int), np.array([True, True, False]))
    np.testing.assert_allclose(found, [-10, 10, 0], atol=1e-9)


@given(st.lists(st.floats(0, 179), min_size=2, max_size=8), st.floats(-180, 180), st.integers(0, 2**16))
def test_turning_all_images_changes_nothing(tilt, by, seed):
    tilt, rng = np.array(tilt), np.random.default_rng(seed)
    label, correct = rng.integers(0, 2, len(tilt)), rng.random(len(tilt)) < 0.7
    twice = np.exp(2j * np.radians(tilt))
    for one in np.unique(label):
        rows = (label == one) & correct
        if rows.any() and abs(twice[rows].mean()) < 0.1:  # hardly any mean direction
            return
    found, again = turn(tilt, label, correct), turn(tilt + by, label, correct)
    assert (np.isnan(found) == np.isnan(again)).all()
    np.testing.assert_allclose(difference(found, again)[~np.isnan(found)], 0, atol=1e-6)


def test_images_of_a_class_keep_their_differences():
    rng = np.random.default_rng(0)
    tilt, label = rng.uniform(20, 60, 40), rng.integers(0, 3, 40)
    found = turn(tilt, label, rng.random(40) < 0.5)
    for one in range(3):
        rows = label == one
        np.testing.assert_allclose(np.diff(found[rows]), np.diff(tilt[rows]), atol=1e-9)
