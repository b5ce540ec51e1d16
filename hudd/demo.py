"""A case made ready: its data written, its DNN trained, its study created."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch

from hudd.capture.loading import load_model
from hudd.data import open_source
from hudd.data.cases import SPLITS, Case, canonical, get_case
from hudd.errors import UsageError
from hudd.parts import CASES
from hudd.progress import progress
from hudd.retraining import fit, save_weights
from hudd.settings import StudySettings, fields_of
from hudd.store import check_inside
from hudd.store.files import write_error
from hudd.study import Study
from hudd.tasks import TaskSubject, infer_task, make_task

_MADE_BY = "made-by.txt"  # next to the data of another package's case: its version

Told = Callable[[str, str, float], None]


def prepare(name: str, directory: str | Path, *, seed: int = 0, told: Told | None = None) -> Study:
    """Make the study of a bundled case, or open the one that is there.

    What is finished is kept: a killed preparation goes on with the epoch in which it stopped.

    Parameters
    ----------
    name : str
        Name of the case, see :data:`hudd.data.cases.CASES`.
    directory : str or Path
        Where study, data and weights go.
    seed : int
        Seed of the data, of the training and of the study.
    told : callable, optional
        ``told(stage, text, seconds)`` is called when the data are written and when the DNN is trained.

    Returns
    -------
    Study

    Raises
    ------
    UsageError
        If the case is unknown, the seed is out of range, or the directory holds a study of something else.
    HuddError
        If the directory cannot be written.
    """
    fields_of(StudySettings)["seed"].check(seed)
    name = canonical(name)
    case, directory = get_case(name), Path(directory).absolute()
    check_inside(directory)
    if (directory / "study.h5").exists():
        study = Study.open(directory)
        _check_version(name, directory)
        if study.settings.model != case.model or study.settings.seed != seed:
            raise UsageError(
                f"'{directory}' holds a study of {study.settings.model} with seed {study.settings.seed}; "
                "name another directory."
            )
        return study
    told = told or (lambda stage, text, seconds: None)
    started = time.perf_counter()
    data = _write_data(name, case, directory / "data", seed)
    told("data", case.title, time.perf_counter() - started)
    weights = directory / "models" / "original.safetensors"
    if not weights.exists():
        started = time.perf_counter()
        epochs = _train(case, data["train"], weights, seed)
        told("training", f"{epochs} epochs of the {case.name} DNN", time.perf_counter() - started)
    options = {"training": case.retraining, "seed": seed, **case.study}
    sets = {split: str(path) for split, path in data.items()}
    return Study.create(directory, model=case.model, weights=str(weights), **sets, **options)


def _check_version(name: str, directory: Path) -> None:
    """Refuse data that another version of a package's case has made."""
    made_by, mark = directory / "data" / _MADE_BY, CASES.mark(name)
    if mark is not None and made_by.is_file() and made_by.read_text(encoding="utf-8") != mark:
        raise UsageError(
            f"the data in '{directory}' are those of another version of case '{name}'; name another "
            "directory."
        )


def _write_data(name: str, case: Case, directory: Path, seed: int) -> dict[str, Path]:
    """Write the case's sets, all of them or none."""
    if not directory.exists():
        aside = directory.with_name(f".{directory.name}-{os.getpid()}")
        try:
            aside.mkdir(parents=True)
            with CASES.attributing_errors(name):
                case.write(aside, seed)
            if mark := CASES.mark(name):
                (aside / _MADE_BY).write_text(mark, encoding="utf-8")
            aside.rename(directory)
        except OSError as error:
            raise write_error(directory, error) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    judge = ("judge",) if (directory / "judge.npz").exists() else ()
    return {split: directory / f"{split}.npz" for split in (*SPLITS, *judge)}


def _train(case: Case, train: Path, weights: Path, seed: int) -> int:
    """Train the case's DNN and return the number of epochs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the factory draws the first weights from torch's global generator
        model = load_model(case.model)
    source = open_source(train, transform=model.transform, class_names=model.class_names)
    names = {"targets", "threshold", "explained", "normalise", "angles"} & set(case.study)
    own = case.study.get("task") or infer_task(case.study.get("targets", ()), source)
    task = make_task(own, TaskSubject(**{name: case.study[name] for name in names}, test=lambda: source))
    config = task.training(case.training)
    checkpoint = weights.with_suffix(".checkpoint")
    with progress(f"training the {case.name} DNN", config.epochs, unit="epochs") as advance:
        fit(
            model.module,
            source,
            task.targets(source, source.labels),
            config,
            seed=seed,
            checkpoint=checkpoint,
            on_epoch=lambda entry: advance(1),
        )
    save_weights(model.module.eval(), weights)
    checkpoint.unlink(missing_ok=True)
    return config.epochs
