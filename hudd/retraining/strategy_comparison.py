"""Strategies side by side: the same label budget and seeds, repeated retrainings, honest statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from hudd.cells import to_csv
from hudd.errors import UsageError
from hudd.retraining.checkpoint import fingerprint
from hudd.retraining.config import TrainingConfig
from hudd.retraining.images import TensorImages, as_images, as_labels, cached
from hudd.retraining.prediction import predict
from hudd.retraining.retrain import Retraining, retrain
from hudd.retraining.statistics import confidence_interval, contrast, least_p_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Strategy = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Run:
    """One retraining of one strategy.

    Attributes
    ----------
    strategy : str
        Its name.
    seed : int
        Of the selection, the bag and the training.
    labelled : int
        Images whose label was paid for.
    bag : int
        Images, with repeats, that were added to the training set.
    accuracy_before, accuracy_after : float
        On the test set, or the judge set where there is one.
    improved, worsened : int
        Of its images, those wrong before and right after, and the reverse.
    recovery : dict[str, float]
        Cluster to the share of its errors that are right after.
    best_epoch : int
        Whose weights were kept.
    """

    strategy: str
    seed: int
    labelled: int
    bag: int
    accuracy_before: float
    accuracy_after: float
    improved: int
    worsened: int
    recovery: dict[str, float]
    best_epoch: int


@dataclass(frozen=True)
class Comparison:
    """All runs of a comparison, strategy after strategy.

    Attributes
    ----------
    runs : tuple of Run
        In order of strategy and seed.
    reference : str
        The strategy that the others are tested against.
    on : str
        The set that the accuracies are of: "test" or "judge".
    """

    runs: tuple[Run, ...]
    reference: str
    on: str = "test"

    def accuracies(self, strategy: str) -> np.ndarray:
        """Return the accuracies after retraining, (runs,), by seed."""
        return np.array([run.accuracy_after for run in self.runs if run.strategy == strategy])

    def summary(self) -> list[dict[str, Any]]:
        """One row a strategy: mean accuracy, 95 % interval, counts and the test against the reference."""
        rows = []
        for name in dict.fromkeys(run.strategy for run in self.runs):
            runs = [run for run in self.runs if run.strategy == name]
            values = self.accuracies(name)
            low, high = confidence_interval(values)
            row: dict[str, Any] = {
                "strategy": name,
                "runs": len(runs),
                "labelled": float(np.mean([run.labelled for run in runs])),
                "bag": float(np.mean([run.bag for run in runs])),
                "accuracy_before": runs[0].accuracy_before,
                "accuracy_mean": float(values.mean()),
                "accuracy_ci_low": low,
                "accuracy_ci_high": high,
                "accuracy_min": float(values.min()),
                "accuracy_max": float(values.max()),
                "improved_mean": float(np.mean([run.improved for run in runs])),
                "worsened_mean": float(np.mean([run.worsened for run in runs])),
                "recovery": {c: float(np.mean([run.recovery[c] for run in runs])) for c in runs[0].recovery},
            }
            if name != self.reference:
                row |= asdict(contrast(values, self.accuracies(self.reference)))
            rows.append(row)
        return rows

    def write_json(self, file: str | Path) -> None:
        """Write summary and runs as JSON."""
        content = {
            "on": self.on,
            "reference": self.reference,
            "least_p_value": least_p_value(len(self.accuracies(self.reference))),
            "summary": self.summary(),
            "runs": [asdict(run) for run in self.runs],
        }
        Path(file).write_text(json.dumps(content, indent=1))

    def write_csv(self, file: str | Path) -> None:
        """Write one row per run; the recovery by cluster is in the JSON only."""
        rows = [{k: v for k, v in asdict(run).items() if k != "recovery"} for run in self.runs]
        Path(file).write_bytes(to_csv(list(rows[0]), [row.values() for row in rows]))

    def figure(self) -> Figure:
        """Draw each strategy's runs as dots, its mean and 95 % interval next to them."""
        from matplotlib.figure import Figure  # slow to import, and most runs draw nothing

        summary = self.summary()
        figure = Figure(figsize=(6.4, 1.0 + 0.45 * len(summary)), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(summary):
            values = 100 * self.accuracies(row["strategy"])
            axes.plot(values, np.full(len(values), place), "o", color="0.7", markersize=4)
            low, high = 100 * row["accuracy_ci_low"], 100 * row["accuracy_ci_high"]
            axes.plot([low, high], [place, place], color="C0", linewidth=2)
            axes.plot(100 * row["accuracy_mean"], place, "D", color="C0")
        axes.axvline(
            100 * self.runs[0].accuracy_before, color="C3", linestyle="--", label="before retraining"
        )
        axes.set_yticks(range(len(summary)), [row["strategy"] for row in summary])
        axes.invert_yaxis()
        axes.set_xlabel(f"{self.on} accuracy (%): runs, mean and 95 % interval")
        axes.legend(loc="best", fontsize="small")
        return figure


def compare(
    model: nn.Module,
    train: Any,
    improvement: Any,
    test: Any,
    strategies: Mapping[str, Strategy],
    config: TrainingConfig | None = None,
    *,
    folder: str | Path,
    runs: int = 10,
    seed: int = 0,
    reference: str = "random",
    train_labels: Any = None,
    improvement_labels: Any = None,
    test_labels: Any = None,
    clusters: np.ndarray | None = None,
    on_run: Callable[[Run], None] | None = None,
) -> Comparison:
    """Retrain by every strategy with every seed, each time from the original weights.

    Finished runs and the epochs of the one in hand are kept in `folder`, under names that depend on all that
    decides a run; so a comparison that is cut off resumes where it was, at the cost of one epoch at most,
    and one with other choices does not take up its runs. Of image sources that are no tensors or arrays only
    the labels and what the model says of the test set are looked at: give other images another folder.

    Parameters
    ----------
    model, train, improvement, config, train_labels, improvement_labels, clusters
        See :func:`hudd.retraining.retrain`.
    test, test_labels
        The test set that the accuracies are of.
    strategies : mapping of str to callable
        Name to ``strategy(seed) -> (labelled, bag)``: the rows of the improvement set whose labels are paid
        for, and those to train on, with repeats. :func:`hudd.selection.strategies` makes them.
    folder : path
        Of the runs.
    runs : int
        Retrainings a strategy, with seeds `seed`, `seed` + 1, ...
    seed : int
        The first seed.
    reference : str
        The strategy that the others are tested against.
    on_run : callable, optional
        Called with each finished run, also with those found in the folder.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If there is no such reference, fewer than one run, or the data do not fit.
    """
    if reference not in strategies:
        raise UsageError(f"reference '{reference}' is not among the strategies: {', '.join(strategies)}.")
    if runs < 1:
        raise UsageError(f"a comparison needs at least one run a strategy, not {runs}.")
    config, folder = config or TrainingConfig(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth = {
        "train_labels": as_labels(train_labels, train, len(as_images(train))),
        "improvement_labels": improvement_labels if improvement_labels is not None else improvement.labels,
        "test_labels": as_labels(test_labels, test, len(as_images(test))),
    }
    train, improvement, test = (cached(as_images(images)) for images in (train, improvement, test))
    before = predict(model, test).prediction == truth["test_labels"].numpy()
    pixels = [images.images for images in (train, improvement, test) if isinstance(images, TensorImages)]
    problem = fingerprint(
        config.describe(), truth["train_labels"], before.tolist(), *model.state_dict().values(), *pixels,
        None if clusters is None else np.asarray(clusters).tolist(),
    )  # fmt: skip

    finished = []
    for name, strategy in strategies.items():
        for number in range(seed, seed + runs):
            labelled, bag = strategy(number)
            bag_labels = np.asarray(truth["improvement_labels"])[bag]
            key = fingerprint(problem, number, bag.tolist(), bag_labels.tolist())[:16]
            file = folder / f"{name}-{number}-{key}.json"
            retrained = partial(
                retrain, model, train, improvement, bag, config,
                seed=number, test=test, before=before, clusters=clusters, **truth,
            )  # fmt: skip
            run = _kept(file) or _new(file, name, number, labelled, bag, retrained)
            finished.append(run)
            if on_run:
                on_run(run)
    return Comparison(tuple(finished), reference)


def _kept(file: Path) -> Run | None:
    """The finished run that a file holds, if it is there."""
    return Run(**json.loads(file.read_text())) if file.is_file() else None


def _new(
    file: Path,
    strategy: str,
    seed: int,
    labelled: np.ndarray,
    bag: np.ndarray,
    retrained: Callable[..., Retraining],
) -> Run:
    """Retrain, from the last epoch if there is a checkpoint next to the file, and keep the run in the file."""
    checkpoint = file.with_suffix(".pt")
    result = retrained(checkpoint=checkpoint)
    change = result.change.to_dict() if result.change else {}
    run = Run(strategy, seed, len(np.unique(labelled)), len(bag), **change, best_epoch=result.fit.best_epoch)
    aside = file.with_suffix(".part")
    aside.write_text(json.dumps(asdict(run)))
    aside.replace(file)
    checkpoint.unlink()
    return run
