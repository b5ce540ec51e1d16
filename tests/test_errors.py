"""Messages are one printable line without credentials, whatever name or foreign error they quote."""

import pytest

from hudd.errors import HuddError, UnsupportedOperation, UsageError, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("image 'a\x1b[2Jb' is bad.", "image 'a\\x1b[2Jb' is bad."),
        ("first\n  second\r\nthird", "first second third"),
        ("'\u202egnp.exe'", "'\\u202egnp.exe'"),
        ("'\udcff.png'", "'\\udcff.png'"),
        ("two  blanks and ä stay", "two  blanks and ä stay"),
        ("no answer from https://ann:s3cret@host/data", "no answer from https://***:***@host/data"),
        ("HF_TOKEN=hf_abc, password: 'x y'", "HF_TOKEN=*** password: *** y'"),
        ("sent Authorization: Bearer abcdefgh12345", "sent Authorization: Bearer ***"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
    ],
)
def test_what_a_message_shows(text, shown):
    assert one_line(text) == shown
    assert str(UsageError(text)) == shown


def test_a_long_message_keeps_its_beginning_and_its_remedy():
    text = str(HuddError(f"image '{'x' * 10**6}' is bad; leave it out."))
    assert len(text) <= 1500
    assert text.startswith("image 'xxx")
    assert text.endswith("leave it out.")


def test_a_usage_error_is_a_value_error():
    assert issubclass(UnsupportedOperation, ValueError)
    assert (HuddError.exit_code, UsageError.exit_code) == (1, 2)
