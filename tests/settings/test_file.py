"""Files of settings: what 'hudd init' writes can be read, and every mistake is named with its file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hudd.cli.opening import _settings
from hudd.errors import UsageError
from hudd.settings.file import FIELDS, read_file, template
from hudd.study.settings import Settings


def _write(folder: Path, text: str) -> Path:
    path = folder / "hudd.toml"
    path.write_text(text)
    return path


def test_a_written_file_sets_what_is_to_be_filled_in(tmp_path: Path) -> None:
    assert set(read_file(_write(tmp_path, template()))) == {
        "model",
        "weights",
        "test",
        "train",
        "improvement",
    }


def test_every_setting_is_in_it_with_its_default(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", template(), flags=re.MULTILINE)
    read = read_file(_write(tmp_path, text))
    assert list(read) == sorted(read, key=lambda name: list(read).index(name))
    assert set(read) == set(FIELDS)
    for name, each in FIELDS.items():
        if isinstance(each.default, (str, bool, int, float, tuple, dict)) and name not in ("model", "test"):
            assert read[name] == each.default, name


def test_lines_are_short() -> None:
    assert max(map(len, template().splitlines())) <= 120


GOOD: dict[str, tuple[str, Any]] = {
    "text": ('preset = "hudd"', {"preset": "hudd"}),
    "number": ("batch_size = 8", {"batch_size": 8}),
    "truth": ("skip_bad = true", {"skip_bad": True}),
    "list": ('layers = ["a", "b*"]', {"layers": ("a", "b*")}),
    "names with numbers": ("angles = { yaw = 360 }", {"angles": {"yaw": 360}}),
    "table": ('[rules]\n"*" = "epsilon"', {"rules": {"*": "epsilon"}}),
    "rules as on the command line": ('rules = "*=epsilon"', {"rules": {"*": "epsilon"}}),
    "classes in a list": ('classes = ["a", "b"]', {"classes": ("a", "b")}),
    "transform": ("resize = [4, 5]\nmean = 0.5", {"transform": {"resize": (4, 5), "mean": 0.5}}),
    "training": ("epochs = 3\nfreeze = ['a.*']", {"training": {"epochs": 3, "freeze": ("a.*",)}}),
    "several strategies": ("modes = ['hudd', 'random']", {"modes": ("hudd", "random"), "runs": 10}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_read_makes_settings(tmp_path: Path, name: str) -> None:
    text, expected = GOOD[name]
    given = _settings(None, read_file(_write(tmp_path, text)))
    assert given == expected
    Settings.of(model="a.b:c", test="a.b:d", **given)


BAD: dict[str, tuple[str, str]] = {
    "no TOML": (
        "model = ",
        r"'.*hudd\.toml' is not TOML: Invalid value \(at end of document\); 'hudd init' writes",
    ),
    "given twice": ("seed = 1\nseed = 2", "is not TOML: Cannot overwrite a value"),
    "no UTF-8": ("\udcff", "is not TOML: 'utf-8' codec"),
    "unknown": ("speed = 3", r"'.*hudd\.toml' has speed, which is no setting; did you mean seed\?"),
    "far from any": ("qqqqq = 3", "has qqqqq, which is no setting; 'hudd init' writes"),
    "as an option": ("batch-size = 3", r"has batch-size, which is no setting; did you mean batch_size\?"),
    "table of its own": ("[training]\nepochs = 3", "has training, which is no setting"),
    "text for a number": ('batch_size = "8"', r"batch_size in '.*' is '8'; give a whole number\."),
    "number for text": ("preset = 3", r"preset in '.*' is 3; give text\."),
    "truth for a number": ("seed = true", r"seed in '.*' is True; give a whole number\."),
    "text for a list": ('layers = "a,b"', r"layers in '.*' is 'a,b'; give a list, each text\."),
    "list of others": ("layers = [1]", r"layers in '.*' is \[1\]; give a list, each text\."),
    "list for text": ('preset = ["hudd"]', r"preset in '.*' is \['hudd'\]; give text\."),
    "date": ("preset = 2030-01-01", r"preset in '.*' is datetime.*; give text\."),
    "not finite": ("factor = inf", r"factor in '.*' is inf; give a finite number\."),
    "out of bounds": (
        "batch_size = 0",
        r"'.*hudd\.toml': batch_size is 0; give a whole number of at least 1\.",
    ),
    "not a choice": ('device = "tpu"', r"'.*hudd\.toml': device is 'tpu'; choose one of: auto, cpu, cuda\."),
    "numbers of names": (
        'angles = { yaw = "x" }',
        r"angles in '.*' is .*; give names, each with a finite number\.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    text, told = BAD[name]
    path = tmp_path / "hudd.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=told):
        read_file(path)


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file '.*none\.toml'; 'hudd init .*none\.toml' writes one"):
        read_file(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_file(tmp_path)
