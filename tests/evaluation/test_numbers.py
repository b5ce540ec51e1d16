"""Ranges in words: as many digits as the range is wide."""

import pytest

from hudd.evaluation import spelled


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
    ],
)
def test_a_range_keeps_what_tells_its_ends_apart(low, high, text):
    assert spelled(low, high) == text
