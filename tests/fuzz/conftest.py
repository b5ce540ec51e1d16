"""A tiny study's material, written again for whoever asks."""

import runpy
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny():
    """Functions that write a tiny DNN and its data, see tiny.py."""
    return runpy.run_path(str(Path(__file__).with_name("tiny.py")))
