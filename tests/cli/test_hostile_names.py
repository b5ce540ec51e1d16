"""Names that would steer a terminal: every line that is printed shows them, and JSON holds them as escapes."""

import json
import runpy
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from hudd.cli.printing import console
from hudd.review.review import Review
from hudd.study import Study
from hudd.text import in_line, printable, to_json

pytestmark = pytest.mark.slow

TITLE, BELL, CSI, BACK, TURN = "\x1b]0;owned\x07", "\x07", "\x9b2J", "\rok\x08\x7f", "\u202e\u2028\u200f"
HOSTILE = f"a{TITLE}{BELL}{CSI}{BACK}{TURN}[bold]b[_]"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A finished study whose directory, classes and causes have such names."""
    folder = tmp_path_factory.mktemp("names") / HOSTILE
    folder.mkdir()
    choices = runpy.run_path(str(Path(__file__).parents[1] / "fuzz" / "tiny.py"))["material"](folder)
    for split in ("train", "test", "improvement"):
        with np.load(choices[split]) as file:
            found = {name: file[name] for name in file.files}
        found["class_names"] = np.array([f"{name}{HOSTILE}" for name in found["class_names"]])
        found["cause"] = np.array([f"{name}{HOSTILE}" for name in found["cause"]])
        np.savez(choices[split], **found)
    study = Study.create(folder / "study", **choices).run()
    Review(study).set(1, note="seen at night\n\ttwice", name="dark \u202e [red]name[/]")
    return study.path


COMMANDS = {
    "show": ["show", "STUDY"],
    "show --json": ["show", "STUDY", "--json"],
    "show --provenance": ["show", "STUDY", "--provenance"],
    "run": ["run", "STUDY"],
    "run again": ["run", "STUDY", "--force", "select"],
    "report": ["report", "STUDY"],
    "report elsewhere": ["report", "STUDY", "--out", "STUDY/../page NAME"],
    "export": ["export", "STUDY", "--to", "csv", "--out", "STUDY/../out NAME"],
    "label": ["label", "STUDY"],
    "label --json": ["label", "STUDY", "--json"],
    "label --export": ["label", "STUDY", "--export", "STUDY/../todo NAME.csv"],
    "label --import": ["label", "STUDY", "--import", "STUDY/../todo NAME.csv"],
    "repair": ["repair", "STUDY"],
    "doctor": ["doctor"],
    "no labels": ["label", "STUDY", "--import", "STUDY/../none NAME.csv"],
    "no study": ["show", "STUDY NAME"],
    "no command": ["NAME"],
    "no option": ["show", "STUDY", "--NAME"],
    "no value": ["run", "STUDY", "--seed", "NAME"],
    "no step": ["run", "STUDY", "--force", "NAME"],
    "no model": ["run", "STUDY NAME", "--model", "NAME.py:NAME", "--test", "NAME"],
    "no format": ["export", "STUDY", "--to", "NAME"],
    "no layer": ["run", "STUDY", "--layer", "NAME"],
    "no study, --debug": ["show", "STUDY NAME", "--debug"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_steers_the_terminal(hudd, hostile, name, monkeypatch):
    monkeypatch.setattr(console, "_width", 1000)  # a table leaves out the ends of long paths
    words = [word.replace("STUDY", str(hostile)).replace("NAME", HOSTILE) for word in COMMANDS[name]]
    code, out, err = hudd(*words)
    assert (code == 0) == (not name.startswith("no ")), err
    for line in (out + err).split("\n"):
        assert line.isprintable(), repr(line)
    assert "owned" in out + err or name in ("label", "label --json", "doctor", "no value")
    if name.endswith("--json"):
        assert isinstance(json.loads(out), dict)


@given(st.text(st.characters()))
@example(HOSTILE)
@example("\U000e0001\ud800")
def test_any_text_is_one_line_and_comes_back_from_json(text):
    assert printable(text).isprintable()
    assert in_line(text).isprintable()
    found = to_json({text: [text]}, indent=1)
    assert all(line.isprintable() for line in found.decode().split("\n"))
    assert json.loads(found) == {text: [text]}
