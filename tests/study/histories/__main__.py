"""Two people at one study, one of whom may be killed: ``python tests/study/histories FOLDER EXAMPLES``."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import FORMATS, PATHS, machine

from hudd.capture import export as capturing
from hudd.export import export
from hudd.study import Study

TESTS = Path(__file__).parents[2]


def capture_ahead(count: int, work: Callable[[], object]) -> None:
    """Capture the DNN, as `work` does, so many times for workers to take: it is what would take them longest."""
    original, calls = capturing._export, []

    def recording(module: torch.nn.Module, inputs: list[torch.Tensor]) -> Any:
        calls.append((module, inputs))
        return original(module, inputs)

    capturing._export = recording
    work()
    ready = [original(*calls[0]) for _ in range(count)]
    capturing._export = lambda module, inputs: ready.pop() if ready else original(module, inputs)


def main(root: Path, examples: int) -> None:
    """Try so many histories."""
    data = root / "data"
    data.mkdir()
    choices = runpy.run_path(str(TESTS / "fuzz" / "tiny.py"))["material"](data)
    made = lambda path: Study.create(path, **{k: v for k, v in choices.items() if k != "train"}).run() and 0  # noqa: E731
    torch.set_num_threads(
        1
    )  # so that there is no thread when workers are forked, who need not import and compile
    made(root / "template")
    study = Study.open(root / "template")
    capture_ahead(8, lambda: export(study, root / "export", formats=FORMATS))
    for image in np.unique(study.selection.image)[:4].tolist():
        PATHS[image] = study.split("improvement").path[image]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=8,
        deadline=None,
        derandomize="HUDD_HISTORIES" not in os.environ,
        database=None,
        phases=(Phase.generate,),
        verbosity=Verbosity.normal,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine(root, root / "template"), settings=chosen)
    print(json.dumps({"histories": examples}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
