"""The digits case, taken through all its steps once."""

import runpy
import shutil
from pathlib import Path

import pytest

from hudd.cli import call as run
from hudd.study import Study


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Directory of the finished demo, and what it printed."""
    directory = tmp_path_factory.mktemp("demo") / "digits"
    assert run(["demo", "--case", "digits", "--out", str(directory)]) == 0
    return directory


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    choices = runpy.run_path(str(Path(__file__).parents[1] / "fuzz" / "tiny.py"))["material"](folder)
    return Study.create(folder / "study", **choices).run().path


@pytest.fixture
def tiny(_tiny, tmp_path):
    """Directory of a finished study that is done again in a second, the test's own copy."""
    return shutil.copytree(_tiny, tmp_path / "study")


@pytest.fixture
def hudd(capfd):
    """Run a command; returns exit code, standard output and standard error."""

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call
