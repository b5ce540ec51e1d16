"""A study's monitor: fitted on the test set, judged on the judge set, exported as a program that torch alone runs."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hudd.data import batches
from hudd.errors import HuddError, UsageError
from hudd.evaluation.rates import even_parts
from hudd.features.monitor import ActivationMoments, Monitor, Reference
from hudd.progress import progress
from hudd.store.files import check_place, write_whole
from hudd.study.inputs import Inputs
from hudd.study.monitor_figures import MonitorFigures, figures_of
from hudd.study.steps import test
from hudd.version import __version__

FALSE_ALARMS = 0.05
FACTS = "hudd-monitor.json"
"""Name of the file in the program that holds what the monitor is and how well it does, as JSON."""
_FOLDS = 5
_BATCH = 64


@dataclass(frozen=True)
class StudyMonitor:
    """A fitted monitor.

    Attributes
    ----------
    monitor : Monitor
        On the DNN's device.
    threshold : float
        Score above which there is an alarm.
    names : dict of int to str
        Names of the causes by number.
    false_alarms : float
        Share of the correctly classified test images that may raise an alarm.
    figures : MonitorFigures
        How well it does.
    example : Tensor
        (2, ...) images.
    facts : dict
        Study, model and versions.
    """

    monitor: Monitor
    threshold: float
    names: dict[int, str]
    false_alarms: float
    figures: MonitorFigures
    example: torch.Tensor
    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what the monitor is and how well it does, as JSON has it."""
        return {
            **self.facts,
            "outputs": ["cause", "distance", "score", "alarm"],
            "input": ["n", *self.example.shape[1:]],
            "features": "channel moments of activations, against correctly classified images",
            "layers": self.monitor.moments.layers,
            "causes": {str(number): name for number, name in self.names.items()},
            "threshold": self.threshold,
            "false_alarm_rate": self.false_alarms,
            "figures": self.figures.to_dict(),
        }

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Export it as a program that needs torch alone, and write it.

        Parameters
        ----------
        path : str or Path
            The file, ``.pt2``.
        overwrite : bool
            Replace a file that is there.

        Raises
        ------
        UsageError
            See :func:`check_program`.
        HuddError
            If torch.export cannot take the model, or the file cannot be written.
        """
        path = Path(path)
        check_program(path, overwrite=overwrite)
        write_whole(path, self._exported())
        return path

    def _exported(self) -> bytes:
        here, images = copy.deepcopy(self.monitor).cpu().eval(), self.example.cpu()
        about = json.dumps(self.to_dict(), ensure_ascii=False, indent=2)
        buffer = BytesIO()
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                shapes = {"images": {0: torch.export.Dim("n", min=1)}}
                program = torch.export.export(here, (images,), dynamic_shapes=shapes, strict=False)
                torch.export.save(program, buffer, extra_files={FACTS: about})
                found = torch.export.load(BytesIO(buffer.getvalue())).module()(images[:1])
        except (
            Exception
        ) as error:  # torch.export raises errors of many kinds, all of them about the user's model
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise HuddError(
                f"torch.export cannot make a program of the model for any number of images ({reason}); make its "
                "forward free of branches on tensor values and of Python side effects, with x.size(0) in place of "
                "len(x)."
            ) from error
        with torch.no_grad():
            expected = here(images[:1])
        if not all(
            torch.allclose(one.double(), other.double(), 1e-3, 1e-4) for one, other in zip(found, expected)
        ):
            raise HuddError(
                "the exported program says something else than the model, so it was not written; make the model's "
                "forward free of Python side effects."
            )
        return buffer.getvalue()


def check_program(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a path where the program cannot stand, before the work that fills it.

    Raises
    ------
    UsageError
        If its name does not end in ``.pt2``, its folder does not exist, or the file is there and is not to be replaced.
    """
    if path.suffix != ".pt2":
        raise UsageError(f"the program '{path}' does not end in .pt2; name a file such as monitor.pt2.")
    check_place(path, "the program ", "monitor.pt2")
    if path.exists() and not overwrite:
        raise UsageError(f"'{path}' exists; give `overwrite` to replace it, or name another file.")


def fit_monitor(
    inputs: Inputs, names: Mapping[int, str], *, false_alarms: float = FALSE_ALARMS
) -> StudyMonitor:
    """Fit a monitor on a study's test set, and judge it.

    Parameters
    ----------
    inputs : Inputs
        Of a study with causes.
    names : mapping of int to str
        The causes to watch for, by number.
    false_alarms : float
        Share of the correctly classified test images that may raise an alarm, above 0 and below 1. The threshold is set
        on scores of monitors that were fitted without the image.

    Raises
    ------
    UsageError
        If the share is out of range, or the model's layers cannot be read.
    HuddError
        If there are too few failures or correctly classified images, or DNN or images are not those that were tested.
    """
    if not 0 < false_alarms < 1:
        raise UsageError(
            f"the share of false alarms is {false_alarms}; give one above 0 and below 1, such as 0.05."
        )
    results = inputs.results
    count = len(results.split("test").path)
    failed, cause = np.zeros(count, bool), np.zeros(count, np.int64)
    failed[results.errors] = True
    labels = results.causes.of_error
    cause[results.errors] = np.where(np.isin(labels, list(names)), labels, 0)
    _check(inputs, failed, cause)
    module, source = inputs.model.module, inputs.source("test")
    example = source.load(np.arange(2)).to(inputs.device)
    moments = ActivationMoments(module, example)
    columns = _columns(inputs, "test", moments)
    scores = _cross_fitted(moments, columns, failed, cause, results.settings.seed)
    threshold = float(np.quantile(scores[~failed], 1 - false_alarms, method="higher"))
    reference = Reference.fit(columns, moments.widths, failed, cause)
    monitor = Monitor(moments, reference, threshold).to(inputs.device)
    on, judged = "test", failed
    if results.has("splits/judge"):
        on, judged = "judge", ~results.split("judge").correct
        scores = _scores(monitor, _columns(inputs, "judge", moments), inputs.device)
    figures = figures_of(results, on, judged, scores, threshold)
    with results.file.reading() as h5:
        digests = {key: str(h5.attrs[key]) for key in ("model", "model_sha256", "weights_sha256")}
    facts = {
        "hudd_version": __version__,
        "torch_version": torch.__version__,
        "study": results.path.name,
        **digests,
    }
    kept = {int(number): names[int(number)] for number in reference.numbers}
    return StudyMonitor(monitor, threshold, kept, false_alarms, figures, example, facts)


def _check(inputs: Inputs, failed: np.ndarray, cause: np.ndarray) -> None:
    results, path = inputs.results, inputs.path
    with results.file.reading() as h5:
        tested = str(h5["steps/test/test"].attrs["fingerprint"])
    if tested != test.fingerprint(inputs, "test"):
        raise HuddError(
            f"the DNN or the test images are not those that were tested; 'hudd run {path}' tests them again."
        )
    if not (cause > 0).any():
        raise HuddError(f"the errors of '{path}' have no common cause that images could be near.")
    few = min(int(failed.sum()), int((~failed).sum()))
    if few < 2 * _FOLDS:
        raise HuddError(
            f"a monitor needs {2 * _FOLDS} errors and {2 * _FOLDS} correctly classified images of the test set, and "
            f"'{path}' has {int(failed.sum())} and {int((~failed).sum())}; test the DNN on more images."
        )


def _columns(inputs: Inputs, split: str, moments: ActivationMoments) -> np.ndarray:
    """(N, d) float32 columns of the images of a split."""
    source, found = inputs.source(split), []
    rows = np.arange(len(source))
    with progress(f"{split} set", len(rows)) as advance, torch.inference_mode():
        for part, images in batches(source, rows, _BATCH, workers=inputs.settings.workers):
            found.append(moments(images.to(inputs.device)).cpu().numpy())
            advance(len(part))
    return np.concatenate(found)


def _scores(monitor: Monitor, columns: np.ndarray, device: torch.device) -> np.ndarray:
    found = []
    with torch.inference_mode():
        for start in range(0, len(columns), _BATCH):
            rows = torch.from_numpy(columns[start : start + _BATCH]).to(device)
            found.append(monitor.judge(rows)[2].cpu().numpy())
    return np.concatenate(found)


def _cross_fitted(
    moments: ActivationMoments, columns: np.ndarray, failed: np.ndarray, cause: np.ndarray, seed: int
) -> np.ndarray:
    """(N,) scores, each by a monitor that was fitted without the image."""
    part = even_parts(failed, _FOLDS, np.random.default_rng([seed, _FOLDS]))
    scores = np.empty(len(failed))
    for one in range(_FOLDS):
        aside = part == one
        fitted = Reference.fit(columns[~aside], moments.widths, failed[~aside], cause[~aside])
        scores[aside] = _scores(Monitor(moments, fitted), columns[aside], torch.device("cpu"))
    return scores
