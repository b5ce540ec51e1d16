"""The digits case, taken through all its steps once."""

import pytest

from hudd.cli import call as run


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Directory of the finished demo, and what it printed."""
    directory = tmp_path_factory.mktemp("demo") / "digits"
    assert run(["demo", "--case", "digits", "--out", str(directory)]) == 0
    return directory


@pytest.fixture
def hudd(capfd):
    """Run a command; returns exit code, standard output and standard error."""

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call
