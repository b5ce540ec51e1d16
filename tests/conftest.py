"""Fixtures for every test: where the shared data lies, and what is read from it once."""

from __future__ import annotations

import asyncio
import os
import runpy
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the compiled kernels were tested, and where they were not and why."""
    ran: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            backend = dict(report.user_properties).get("kernels")
            if backend is None:
                continue
            if outcome == "skipped":
                reasons.setdefault(backend, report.longrepr[2].removeprefix("Skipped: "))
            else:
                ran[backend] += 1
    lines = [f"{backend}: {count} tests" for backend, count in ran.items()]
    lines += [f"{backend}: not run ({reason})" for backend, reason in reasons.items() if backend not in ran]
    if lines:
        terminalreporter.section("kernels")
        for line in lines:
            terminalreporter.write_line(line)
