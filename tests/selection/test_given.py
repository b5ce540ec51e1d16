"""Images of a list: their rows in its order, and what is wrong with a list."""

import pytest

from hudd.errors import UsageError
from hudd.selection import listed_images

PATHS = ["field/a.png", "field/b.png", "c.png"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("path\nc.png\nfield/a.png\n", [2, 0]),
        ("label;path\n3;field/b.png\n;c.png\n", [1, 2]),
        ("Path,why\nfield/b.png,dark\n\n", [1]),
    ],
)
def test_rows_in_the_order_of_the_list(tmp_path, text, rows):
    (tmp_path / "list.csv").write_text(text)
    assert listed_images(tmp_path / "list.csv", PATHS).tolist() == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\nc.png\n", "has the columns file; a list of images needs 'path'"),
        (
            "path\nc.png\nd.png\n",
            "1 of the 2 images in .* are not in the improvement set: 'd.png'; .* 'field/a.png'",
        ),
        ("path\nc.png\nc.png\n", "names 'c.png' twice"),
        ("path,x\n,1\n", "names no image"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        listed_images(tmp_path / "list.csv", PATHS)


def test_no_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="there is no list of images at"):
        listed_images(tmp_path / "none.csv", PATHS)
