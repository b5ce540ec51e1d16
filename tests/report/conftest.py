"""A browser."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A page of headless Chromium."""
    path = Path(__file__).parents[2] / "benchmarks" / "browser.py"
    spec = importlib.util.spec_from_file_location("hudd_browser", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine's path")
    opened = module.Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
