"""A remedy: the call that succeeds once what a message advises is done, and what is corrected before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MODEL = "--model model.py:cnn --weights cnn.safetensors"


@dataclass(frozen=True)
class Remedy:
    """A call, and what is done before it in the folder of the bad input."""

    arguments: str
    correct: Callable[[], object] = lambda: None


REMEDIES: dict[str, Remedy] = {}


def call(what: str, arguments: str, correct: Callable[[], object] = lambda: None) -> None:
    """Follow the advice by another call."""
    assert what not in REMEDIES
    REMEDIES[what] = Remedy(arguments, correct)


def run(what: str, options: str = "", correct: Callable[[], object] = lambda: None) -> None:
    """Follow the advice by the same run with other options: of the sound model and test set where none are given."""
    sound = "" if "--model" in options else MODEL.split(" --weights")[0] if "--weights" in options else MODEL
    test = "" if "--test" in options else "--test test.npz"
    call(what, f"run new {sound} {test} {options}", correct)
