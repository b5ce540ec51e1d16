"""What groups of errors are called."""

import pytest

from hudd.summary.titles import title

MANY = [("a", "b", 3), ("c", "d", 2), ("e", "f", 2)]


@pytest.mark.parametrize(
    ("given", "known", "rule", "confusions", "called"),
    [
        ("fog", ["haze"], "dark images: luminance < 0.2", MANY, "fog"),
        ("", [], "dark images: luminance < 0.2", MANY, "dark images: luminance < 0.2"),
        ("", ["night"], "luminance < 0.2", MANY, "night · luminance < 0.2"),
        ("", ["night"], "", MANY, "night"),
        ("", [], "", MANY, "a → b"),
        ("", [], "", [("a", "b", 3), ("a", "c", 2)], "a → b"),
        ("", [], "", [("a", "b", 3), ("a", "c", 3)], "a → any"),
        ("", [], "", [("a", "b", 3), ("c", "b", 3)], "any → b"),
        ("", ["night"], "", [("a", "b", 3)], "night · a → b"),
    ],
)
def test_people_s_name_then_the_rule_then_the_confusion(given, known, rule, confusions, called):
    assert title(given, known, rule, confusions) == called
