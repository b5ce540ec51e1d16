"""Running the grid: one line of JSON a finished cell, so that a run that is cut off resumes where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from cases import CASES, problem
from features import FEATURES, Source, isometric
from methods import METHODS
from metrics import quality
from pipelines import CLUSTERERS, REDUCTIONS, Choice, reduce

Cell = dict[str, Any]


def read(lines: Path) -> list[Cell]:
    """The cells that are finished; a last line that was cut off does not count."""
    if not lines.exists():
        return []
    found = []
    for line in lines.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def run(
    cases: Iterable[str], seeds: Iterable[int], choices: list[Choice], folder: Path, workers: int
) -> list[Cell]:
    """Run what is missing and return every cell asked for.

    Parameters
    ----------
    cases, seeds
        The problems.
    choices : list of Choice
        The pipelines; the presets are always run.
    folder : Path
        Where problems and finished cells are kept.
    workers : int
        Problems at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "cells.jsonl"
    wanted = [(case, seed) for seed in seeds for case in cases]
    features = list(dict.fromkeys(choice.feature for choice in choices))
    methods = [name for name in METHODS if name != "preset safe" or "transfer" in features]
    names = {choice.name for choice in choices} | set(methods)
    done = {(cell["case"], cell["seed"], cell["pipeline"]) for cell in read(lines)}
    todo = [(case, seed) for case, seed in wanted if any((case, seed, name) not in done for name in names)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = {
            pool.submit(_work, case, seed, choices, methods, folder, done): (case, seed)
            for case, seed in todo
        }
        for job in as_completed(jobs):
            case, seed = jobs[job]
            print(f"{case}, seed {seed}: {job.result()} cells", flush=True)
    return [
        cell for cell in read(lines) if (cell["case"], cell["seed"]) in wanted and cell["pipeline"] in names
    ]


def _work(
    case: str,
    seed: int,
    choices: list[Choice],
    methods: list[str],
    folder: Path,
    done: set[tuple[str, int, str]],
) -> int:
    """Run the cells of one problem that are missing, feature by feature."""
    torch.set_num_threads(1)
    given = problem(CASES[case], seed, folder)
    source, lines, count = Source(given), folder / "cells.jsonl", 0
    features = list(dict.fromkeys(choice.feature for choice in choices))

    def write(pipeline: str, labels: np.ndarray, seconds: float, bytes_each: int) -> None:
        nonlocal count
        cell = {"case": case, "seed": seed, "pipeline": pipeline}
        cell |= quality(labels, given.cause, given.rare).to_dict()
        cell |= {"seconds": round(seconds, 3), "bytes_each": bytes_each}
        with lines.open("a") as file:
            file.write(json.dumps(cell) + "\n")
        count += 1

    for name in methods:
        if (case, seed, name) not in done:
            started = process_time()
            labels, bytes_each = METHODS[name](source)
            write(name, labels, process_time() - started, bytes_each)
    for feature in features:
        mine = [
            choice
            for choice in choices
            if choice.feature == feature and (case, seed, choice.name) not in done
        ]
        if not mine:
            continue
        kind, make = FEATURES[feature]
        started = process_time()
        rows = make(source)
        made = process_time() - started
        bytes_each = rows[0].size * 4
        rows = isometric(rows)
        for reduction in REDUCTIONS:
            clusterers = [choice.clusterer for choice in mine if choice.reduction == reduction]
            if not clusterers:
                continue
            started = process_time()
            reduced = reduce(rows, reduction, seed)
            before = source.seconds.get(kind, 0.0) + made + process_time() - started
            for clusterer in clusterers:
                started = process_time()
                labels = CLUSTERERS[clusterer](reduced, seed)
                seconds = before + process_time() - started
                write(Choice(feature, reduction, clusterer).name, labels, seconds, bytes_each)
    return count
