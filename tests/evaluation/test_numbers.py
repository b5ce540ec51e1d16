"""Ranges in words: as many digits as the range is wide."""

import pytest

from hudd.evaluation import format_range
from hudd.evaluation.numbers import format_exactly


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.12345, 0.98765, "0.123..0.988"),
        (-5.7, 13, "-5.7..13"),
        (1_700_000_000.25, 1_700_000_000.75, "1700000000.25..1700000000.75"),
        (1_234_500, 1_234_519, "1234500..1234519"),
        (48.13719, 48.13725, "48.13719..48.13725"),
        (2e-7, 9e-7, "2e-07..9e-07"),
        (0.1, 0.1, "0.1..0.1"),
        (0, 0, "0..0"),
        (3, 7.25, "3..7.25"),
        (0.5, float("inf"), "0.5..inf"),
        (99.5, 101.25, "99.5..101.25"),
        (-101.26, -99.51, "-101.26..-99.51"),
        (0.12345, 1000.5, "0.123..1e+03"),
        (-0.5, 0.5, "-0.5..0.5"),
        (1 / 3, 1 / 3 + 1e-16, "0.33333333333333331..0.33333333333333343"),
    ],
)
def test_a_range_keeps_what_tells_its_ends_apart(low, high, text):
    assert format_range(low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-2, "-2"),
        (0.1, "0.1"),
        (1e15 - 1, "999999999999999"),
        (1e15, "1000000000000000.0"),
        (-1e16, "-1e+16"),
    ],
)
def test_a_number_reads_back_as_itself(value, text):
    assert format_exactly(value) == text
    assert float(text) == value
