"""Which recordings are kept."""

from __future__ import annotations

import pickle
import runpy
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

import hudd
from hudd.lrp.replay import CudaRecorder, Explained, Inputs, Recordings

shared = runpy.run_path(str(Path(__file__).with_name("stand_in.py")))
StandInRecorder = shared["StandInRecorder"]


def _kinds() -> Iterator[Tensor]:
    """Inputs of one size more each."""
    yield from (torch.zeros(size, 1) for size in range(1, 9))


def _explain(inputs: Inputs, enter: object) -> Explained:
    return hudd.Relevance(inputs, torch.zeros(len(inputs[0]))), {}


def test_what_has_not_come_for_long_is_forgotten() -> None:
    recorder = StandInRecorder()
    recordings = Recordings(recorder, kept=2)
    one, two, three, *_ = _kinds()
    for inputs in (one, one, two, two, one):
        recordings.run(_explain, (inputs,), None)
    assert recorder.replays == [2, 1]
    recordings.run(_explain, (three,), None)  # forgets the second
    recordings.run(_explain, (one,), None)
    assert recorder.replays == [3, 1]
    for _ in range(2):
        recordings.run(_explain, (two,), None)
    assert recorder.replays == [3, 1, 1]
    recordings.clear()
    recordings.run(_explain, (one,), None)
    assert recorder.replays == [3, 1, 1]


def test_more_kinds_in_turn_than_are_kept_are_never_recorded() -> None:
    recorder = StandInRecorder()
    recordings = Recordings(recorder, kept=7)
    for _ in range(5):
        for inputs in _kinds():
            recordings.run(_explain, (inputs,), None)
    assert recorder.made == []


def test_a_copy_has_nothing_recorded() -> None:
    recordings = Recordings(CudaRecorder(), 2, optional=True)
    recordings._entries["kind"] = None  # type: ignore[assignment]
    copy = pickle.loads(pickle.dumps(recordings))
    assert (copy._entries, copy._kept, copy._optional) == ({}, 2, True)
