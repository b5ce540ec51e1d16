"""Fixtures for every test: the shared data, read once, and other tools; what is told of tests that did not run."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import runpy
import socket
import subprocess
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from hudd import _core

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
NO_DEVICE = pytest.StashKey[int]()  # how many tests were left out because there is no GPU

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--all-peers``: what ``make test-all`` runs with."""
    parser.addoption(
        "--all-peers",
        action="store_true",
        help="a test of another tool that is not installed fails, in place of being skipped",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked ``cuda`` out where there is no GPU."""
    absent = [item for item in items if item.get_closest_marker("cuda")]
    if not absent:
        return
    import torch

    if not torch.cuda.is_available():
        items[:] = [item for item in items if not item.get_closest_marker("cuda")]
        config.hook.pytest_deselected(items=absent)
        config.stash[NO_DEVICE] = len(absent)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist: hand over how many tests were left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["no device"] = session.config.stash.get(NO_DEVICE, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process of pytest-xdist collects the same tests, so the number of one is that of all."""
    node.config.stash[NO_DEVICE] = getattr(node, "workeroutput", {}).get("no device", 0)


@pytest.fixture(params=_core.build_info()["instruction_sets"], scope="module")
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that the core is built for; it is in use meanwhile."""
    before = _core.build_info()["active_instruction_set"]
    try:
        _core.select_instruction_set(request.param)
    except ValueError:
        pytest.skip(f"this machine has no {request.param}")
    yield request.param
    _core.select_instruction_set(before)


@pytest.fixture(scope="session")
def absent(request: pytest.FixtureRequest) -> Callable[[str], NoReturn]:
    """Ends a test that cannot run without another tool: it is skipped, or fails with ``--all-peers``."""
    return pytest.fail if request.config.getoption("--all-peers") else pytest.skip


@pytest.fixture(scope="session")
def peer(absent: Callable[[str], NoReturn]) -> Callable[[str], ModuleType]:
    """Returns a function that imports a module of the extra ``peers``."""

    def imported(name: str) -> ModuleType:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module(name)
        except ImportError:
            absent(f"{name} is not installed")

    return imported


@pytest.fixture(scope="session")
def read_by(absent: Callable[[str], NoReturn]) -> Callable[..., Any]:
    """Returns a function that has another tool read a file, and returns what ``readers/read_<tool>.py`` prints of it.

    These tools want other versions of what hudd needs, so each has an environment of its own.
    """

    def read(tool: str, path: Path) -> Any:
        python = ROOT / ".venv-peers" / tool / "bin" / "python"
        if not python.exists():
            absent(f"{tool} has no environment in .venv-peers")
        script = ROOT / "tests" / "export" / "readers" / f"read_{tool}.py"
        done = subprocess.run([python, "-I", script, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return read


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and real data; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("HUDD_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (set HUDD_SHARED)")
    return folder


@pytest.fixture(scope="session")
def lrp_golden(shared: Path) -> dict[str, np.ndarray]:
    """Heatmaps by the authors' own functions."""
    with np.load(shared / "golden" / "lrp_small.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="session")
def read_study() -> Callable[[Path], dict[str, np.ndarray]]:
    """The reader that knows docs/format.md and h5py, and nothing of hudd."""
    return runpy.run_path(str(Path(__file__).with_name("reader.py")))["read_study"]


@pytest.fixture(scope="session")
def _fake_study() -> Any:
    return runpy.run_path(str(Path(__file__).with_name("fake_study.py")))["FakeStudy"]


@pytest.fixture
def make_study(tmp_path: Path, _fake_study: Any) -> Callable[..., Any]:
    """Returns a function that makes a fake study; keywords as FakeStudy of fake_study.py."""
    return lambda **choices: _fake_study(tmp_path / "study", **choices)


@pytest.fixture
def running():
    """Returns a context that serves a study: its address and the token."""
    pytest.importorskip("starlette", reason="starlette is not installed")
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    from hudd.server.serve import make_app, server_config

    class Server(uvicorn.Server):
        async def main_loop(self):
            """Look for the end more often than ten times a second: that is how long most tests would wait."""
            await self.on_tick(0)
            while not self.should_exit:
                await asyncio.sleep(0.005)

    @contextmanager
    def serve(study, token="right-token"):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            app = make_app(study, token, hosts={"127.0.0.1", "localhost"}, port=port)
            worker = Server(server_config(app))
            thread = threading.Thread(target=worker.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not worker.started and thread.is_alive():
                thread.join(0.01)
            try:
                yield f"http://127.0.0.1:{port}", token
            finally:
                worker.should_exit = True
                thread.join()

    return serve


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page of headless Chromium."""
    module = runpy.run_path(str(ROOT / "benchmarks" / "browser.py"))
    if module["CHROMIUM"] is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine's path")
    opened = module["Browser"](tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def examine(browser: Any) -> Callable[[], dict[str, list[str]]]:
    """Returns a function that gives what is wrong on the page: places by rule."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make test-all does it where npm is")

    def found() -> dict[str, list[str]]:
        # Through the debugger, for which the page's own policy does not hold. What is scrolled out of view counts too.
        browser.js(
            "document.querySelectorAll('.cluster').forEach(c => c.style.contentVisibility = 'visible')"
        )
        browser.js(AXE.read_text(encoding="utf-8") + "; 1")
        result = json.loads(
            browser.js(
                "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))"
            )
        )
        return {
            one["id"]: [node["html"][:120] + " " + node["failureSummary"][:200] for node in one["nodes"]][:5]
            for one in result
            if one["impact"] in ("serious", "critical")
        }

    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the compiled kernels were tested, and how many tests did not run, by reason."""
    kernels = Counter(
        dict(report.user_properties)["kernels"]
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "kernels" in dict(report.user_properties)
    )
    skipped = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    left_out = terminalreporter.config.stash.get(NO_DEVICE, 0)
    _tell(terminalreporter, "kernels", kernels, "{what}: {count} tests")
    _tell(terminalreporter, "left out", {"no CUDA device": left_out} if left_out else {}, "{count:5}  {what}")
    _tell(terminalreporter, "skipped", skipped, "{count:5}  {what}")


def _tell(reporter: pytest.TerminalReporter, title: str, counts: Mapping[str, int], line: str) -> None:
    if counts:
        reporter.section(f"{title}: {sum(counts.values())} tests")
    for what, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        reporter.write_line(line.format(what=what, count=count))
