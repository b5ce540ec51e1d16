"""Commands that only read load nothing that computes, and the overview loads not even the parser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hudd.cli.commands import COMMANDS, PANELS

COMPUTING = ("torch", "scipy.stats", "scipy.optimize", "sklearn", "numba", "matplotlib")


def _loaded(*arguments: str, of: tuple[str, ...]) -> set[str]:
    """Which modules are loaded after a command has run in a process of its own."""
    code = f"import sys; from hudd.cli import call; code = call({list(arguments)}); "
    code += f"print(*(name for name in {of} if name in sys.modules), file=sys.stderr); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--json",), ("--provenance",)])
def test_show_needs_nothing_that_computes(demo: Path, options: tuple[str, ...]) -> None:
    assert _loaded("show", str(demo), *options, of=COMPUTING) == set()


def test_the_overview_needs_no_parser() -> None:
    assert _loaded("--help", of=(*COMPUTING, "typer", "numpy", "h5py")) == set()


def test_the_help_of_a_command_loads_no_other_command() -> None:
    others = tuple(f"hudd.cli.{name}" for name in COMMANDS if name != "show")
    assert _loaded("show", "--help", of=(*others, "numpy")) == set()


def test_every_command_is_in_the_overview(hudd) -> None:
    _, out, _ = hudd("--help")
    for panel, commands in PANELS.items():
        assert f"\n{panel}\n" in out
        assert all(f"\n  {name:<10} {summary}\n" in out for name, summary in commands.items())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(("shwo",), "No such command 'shwo'"), (("--wrong",), "No such option"), (("-x", "show"), "-x")],
)
def test_a_wrong_call_is_refused(hudd, arguments: tuple[str, ...], part: str) -> None:
    code, out, err = hudd(*arguments)
    assert (code, out) == (2, "")
    assert part in err
