"""Messages of the library name parameters; the command line names its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import hudd
from hudd.capture.loading import load_model
from hudd.cli import call
from hudd.cli.translation import as_options
from hudd.errors import UsageError

HUDD = Path(hudd.__file__).parent
# Rooms of the command line, and what commands and the report show.
COMMANDS = ("cli", "settings", "summary", "report", "extend")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("give `batch_size`, or `pool='channel'`", "give --batch-size, or --pool channel"),
        ("`skip_bad` leaves them out", "--skip-bad leaves them out"),
        ("give `skip_bad=True`", "give --skip-bad"),
        ("give `skip_bad=False`", "give --no-skip-bad"),
        ("give `grayscale=False`", "give --colour"),
        ("compare by `modes`", "compare by --compare"),
        ("give `break_lock=True` or `overwrite=True`", "give --break-lock or --overwrite"),
        ("give `weights_key='a.b'`", "give --weights-key a.b"),
        ("`workers=0`", "--workers 0"),
        ("file `x` and `no_setting=3`", "file `x` and `no_setting=3`"),
        ("no code at all", "no code at all"),
    ],
)
def test_parameters_become_options(message, told):
    assert as_options(message) == told


def test_the_command_line_says_options_where_the_library_says_parameters(capsys, tmp_path):
    message = "weights_key is 'ema', but there is no weights file; give {}, too"
    with pytest.raises(UsageError, match=message.format("`weights`")):
        load_model("package:model", weights_key="ema")
    data = tmp_path / "data.npz"
    np.savez(data, images=np.zeros((2, 3, 4, 4), np.uint8), labels=np.array([0, 1]))
    study = str(tmp_path / "study")
    assert call(["run", study, "--model", "json:loads", "--test", str(data), "--weights-key", "ema"]) == 2
    assert message.format("--weights") in capsys.readouterr().err


def texts(path: Path) -> Iterator[str]:
    """The strings of a module, filled in with "{}", but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_message_of_the_library_names_an_option():
    """But in a whole command, such as 'hudd run STUDY --upgrade', which is the same from Python."""
    option = re.compile(r"(?<![\w`(-])--[a-z][a-z-]+")
    found = []
    for path in sorted(HUDD.rglob("*.py")):
        place = path.relative_to(HUDD)
        if place.parts[0] not in COMMANDS:
            plain = [re.sub(r"'(hudd|pip|h5clear) [^']*'", "", text) for text in texts(path)]
            found += [f"{place}: {text}" for text in plain if option.search(text)]
    assert not found, "\n".join(found)
