from hypothesis import given
from hypothesis import strategies as st

from hudd.text import clipped, number, percent, printable, short_names


@given(st.text())
def test_shown_is_one_printable_line(name):
    assert printable(name).isprintable()
    if name.isprintable():
        assert printable(name) == name


def test_shown_keeps_what_can_be_read():
    assert printable("a\nb") == "a\\nb"
    assert printable("日本 é") == "日本 é"
    assert printable("x\udc80") == "x\\udc80"
    assert printable("a\u202eb") == "a\\u202eb"


def test_numbers():
    assert [number(x) for x in (3, 1234.0, 0.12345, 123.456, float("nan"))] == [
        "3",
        "1,234",
        "0.123",
        "123.5",
        "–",
    ]
    assert [number(x) for x in (1_700_000_123, 1_700_000_123.5, 1.7e18, float("inf"))] == [
        "1,700,000,123",
        "1,700,000,123.5",
        "1.7e+18",
        "–",
    ]
    assert percent(0.2534) == "25.3 %"
    assert percent(float("nan")) == "–"


@given(
    st.floats(-1e9, 1e9),
    st.floats(1e-3, 1e3),
)
def test_numbers_that_lie_close_together_are_told_apart(low, width):
    high = low + width
    one, two = (float(number(x, width / 10).replace(",", "")) for x in (low, high))
    assert abs(two - one - width) <= 0.11 * width


def test_short_names_tell_paths_apart():
    assert short_names(["/data/a/1.png", "/data/b/2.png"], 20) == ["1.png", "2.png"]
    assert short_names(["/data/a/1.png", "/data/b/1.png"], 20) == ["a/1.png", "b/1.png"]
    assert short_names(["x\\a\\1.png", "1.png"], 20) == ["a/1.png", "1.png"]
    assert short_names(["same", "same"], 20) == ["same", "same"]
    assert short_names([], 20) == []


def test_long_names_lose_their_middle():
    assert clipped("short", 5) == "short"
    assert clipped("abcdefghijklmnop.png", 10) == "abc…op.png"
    assert all(len(clipped("x" * 50, most)) == most for most in range(2, 20))
