"""Acceptance criteria against SciPy's exact interval, their laws, and how often a bad DNN passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from hudd.evaluation import (
    Bound,
    Criterion,
    Region,
    Severity,
    Verdict,
    images_needed,
    severities,
    upper_bound,
    verdict,
)

COUNTS = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CONFIDENCES = st.floats(0.5, 0.9999)
LIMITS = st.floats(1e-4, 0.9)


@given(COUNTS, CONFIDENCES)
def test_the_bound_is_scipys_exact_one(counts, confidence):
    failures, images = counts
    found = upper_bound(failures, images, confidence)
    if not images:
        assert found == 1
        return
    interval = binomtest(failures, images, alternative="less").proportion_ci(confidence, "exact")
    assert found == pytest.approx(interval.high)
    assert failures / images <= found


@given(LIMITS, CONFIDENCES, st.integers(0, 5))
def test_as_many_images_as_needed_are_enough_and_one_less_is_not(limit, confidence, failures):
    needed = images_needed(limit, confidence, failures)
    assert upper_bound(failures, needed, confidence) <= limit
    assert upper_bound(failures, needed - 1, confidence) > limit


def test_images_that_a_textbook_needs():
    assert images_needed(0.02, 0.95) == 149
    assert images_needed(0.01, 0.95) == 299
    assert images_needed(0.001, 0.99) == 4603


@pytest.mark.parametrize(("limit", "images"), [(0.02, 200), (0.1, 60), (0.3, 25)])
def test_a_dnn_that_fails_more_often_rarely_passes(limit, images):
    """At a true rate just above the limit, the chance to pass is at most one less the confidence."""
    failures = np.arange(images + 1)
    passed = np.array([Verdict(Criterion("", Region(), limit), images, k).passed for k in failures.tolist()])
    assert passed.any()
    assert binom.pmf(failures, images, limit)[passed].sum() <= 0.05


@pytest.mark.parametrize(
    ("images", "failures", "reason"),
    [
        (0, 0, "not shown: 0 images, needs at least 149"),
        (148, 0, "not shown: 148 images, needs at least 149"),
        (3, 3, "not shown: 3 images, needs at least 149"),
        (149, 0, ""),
        (149, 1, "not shown: 149 images, needs at least 236"),
        (236, 1, ""),
        (200, 40, "fails on 0.2 of the images, allowed are 0.02"),
    ],
)
def test_reasons(images, failures, reason):
    found = Verdict(Criterion("", Region(), 0.02), images, failures)
    assert found.reason == reason
    assert found.passed is (not reason)


@given(COUNTS, LIMITS)
def test_every_verdict_that_does_not_pass_says_why(counts, limit):
    failures, images = counts
    found = Verdict(Criterion("", Region(), limit), images, failures)
    assert bool(found.reason) is not found.passed
    if found.reason.startswith("not shown"):
        assert found.needed > images


SEVERE = (
    Severity("S3", Region((Bound("class", value="person"),))),
    Severity("S1", Region((Bound("light", high=0.2),))),
    Severity("S3", Region((Bound("prediction", value="road"),))),
)
COLUMNS = {
    "class": np.array(["person", "car", "car", "car", "person", "car"], object),
    "prediction": np.array(["car", "road", "car", "road", "person", "person"], object),
    "light": np.array([0.1, 0.1, 0.1, 0.9, 0.1, 0.9]),
}
FAILED = np.array([True, True, True, True, False, True])


def test_a_failure_has_the_gravest_severity_that_applies():
    assert severities(SEVERE, COLUMNS, FAILED).tolist() == ["S3", "S3", "S1", "S3", "", ""]


@pytest.mark.parametrize(
    ("severity", "limits", "counts"),
    [
        (None, (), (6, 5)),
        ("S3", (), (6, 3)),
        ("S1", (), (6, 4)),
        ("S3", (Bound("light", low=0.5),), (2, 1)),
        (None, (Bound("class", outside=True, value="car"),), (2, 1)),
    ],
)
def test_failures_of_a_level_and_graver_ones_are_counted_under_the_condition(severity, limits, counts):
    wanted = Criterion("c", Region(limits), 0.5, severity=severity)
    found = verdict(wanted, COLUMNS, FAILED, SEVERE)
    assert (found.images, found.failures) == counts


def test_a_criterion_is_written_as_people_write_it():
    region = Region((Bound("class", value="person"), Bound("light", high=0.2)))
    assert Criterion("c", region, 0.02).text == "P(fail | class is person and light < 0.2) <= 0.02 at 95 %"
    assert Criterion("c", Region(), 0.001, 0.999, "S3").text == "P(S3 failure) <= 0.001 at 99.9 %"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound("p", high=0.5), "p < 0.5"),
        (Bound("p", high=0.5, outside=True), "p >= 0.5"),
        (Bound("p", low=-3), "p >= -3"),
        (Bound("p", low=1, high=2.5, outside=True), "p outside 1..2.5"),
        (Bound("p", low=3, high=np.nextafter(3, 4)), "p = 3"),
        (Bound("p", value="a", outside=True), "p is not a"),
    ],
)
def test_bounds_in_words(bound, words):
    assert bound.words() == words
