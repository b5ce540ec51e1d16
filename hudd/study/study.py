"""The study: made, opened, taken through its steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.capture.loading import LoadedModel
from hudd.data import ImageSource
from hudd.errors import UsageError
from hudd.study import steps
from hudd.study.checks import check
from hudd.study.graph import Graph
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.provenance import root_attributes
from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.study.spatial import spatial_heatmaps
from hudd.study.step import find_steps

GRAPH = Graph(find_steps(steps))
STEPS = GRAPH.names


class Study(Results):
    """A study in its directory.

    Make one with :meth:`create`, come back to it with :meth:`open`. Every step first brings those before it
    up to date and does nothing where its own result is there and depends on nothing that has changed; a
    killed step resumes where it stopped.

    Attributes
    ----------
    inputs : Inputs
        The DNN, the data and the settings.
    journal : Journal
        Where results are written.
    """

    def __init__(self, path: str | Path, settings: Settings | None = None) -> None:
        super().__init__(path, settings)
        self.inputs, self.journal = Inputs(self), Journal(self, GRAPH)

    @classmethod
    def create(cls, path: str | Path, **choices: Any) -> Study:
        """Make a study, after checking that model, weights and data fit each other and can be captured.

        Parameters
        ----------
        path : str or Path
            The directory; it must not hold a study yet.
        **choices
            Fields of :class:`Settings`; `model` and `test` are required.

        Raises
        ------
        UsageError
            If anything cannot be used; nothing is then left behind.
        """
        path = Path(path).absolute()
        if path.exists() and not path.is_dir():
            raise UsageError(f"'{path}' is a file; name a directory for the study.")
        study = cls(path, Settings.of(**choices))

        def make() -> None:
            study.file.check_absent()
            check(study.inputs)
            study.journal.create(root_attributes(study.inputs))

        study.journal.lead(make)
        return study

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """Open the study in the directory `path`.

        Raises
        ------
        UsageError
            If there is none, or it is of another version.
        """
        study = cls(path)
        study.journal.ranks.wait()  # nobody changes it before everybody has read it
        return study

    def configure(self, **changes: Any) -> Study:
        """Change settings; the steps that depend on them run again when next asked for.

        Raises
        ------
        UsageError
            If a setting cannot be used; the old ones then stay.
        """
        old, new = self.settings, self.settings.changed(**changes)
        if new == old:
            return self
        before, self.settings = self.inputs, new
        self.inputs = Inputs(self)

        def write() -> None:
            check(self.inputs)
            with self.writing() as h5:
                h5.attrs.update(root_attributes(self.inputs))
            differing = {k: v for k, v in changes.items() if vars(old)[k] != vars(new)[k]}
            self.journal.log("configured", **differing)

        try:
            self.journal.lead(write)
        except BaseException:
            self.settings, self.inputs = old, before
            raise
        return self

    def force(self, step: str) -> Study:
        """Forget the result of a step, and all that was made from it, so that it is taken again.

        Parameters
        ----------
        step : str
            One of :data:`STEPS`.

        Raises
        ------
        UsageError
            If there is no such step.
        """
        self.journal.lead(lambda: self.journal.forget_step(GRAPH[step]))
        return self

    # -- the steps

    def test(self) -> Study:
        """Run the DNN over every split and find its errors on the test set."""
        return self.run_step("test")

    def heatmaps(self) -> Study:
        """Compute the relevance of every error at every layer."""
        return self.run_step("heatmaps")

    def distances(self) -> Study:
        """Take the pairwise distances of the errors' heatmaps, layer by layer."""
        return self.run_step("distances")

    def cluster(self) -> Study:
        """Cluster the errors at every layer and choose the layer whose clusters are kept."""
        return self.run_step("cluster")

    def select(self) -> Study:
        """Select the improvement images closest to the clusters."""
        return self.run_step("select")

    def retrain(self) -> Study:
        """Retrain the DNN on the training set and the labelled unsafe set, and test it again."""
        return self.run_step("retrain")

    def evaluate(self) -> Study:
        """Measure what the clusters have in common: parameter variance, purity."""
        return self.run_step("evaluate")

    def run(self) -> Study:
        """Run every step that the data allow, see :meth:`possible_steps`."""
        for step in self.possible_steps():
            self.run_step(step)
        return self

    def possible_steps(self) -> Iterator[str]:
        """Yield the steps to run, one after the other, as far as data and labels allow."""
        yield from (step for step in STEPS if GRAPH[step].possible(self))

    def run_step(self, name: str) -> Study:
        """Run the step called `name`, one of :data:`STEPS`, after those that it needs."""
        with ExitStack() as stack:
            self.journal.lead(lambda: stack.enter_context(self.journal.locked()))
            for step in GRAPH.up_to(name):
                step.update(self.inputs, self.journal, checksums=step.name == name)
        return self

    @property
    def model(self) -> LoadedModel:
        """The DNN, in eval mode, on its device."""
        return self.inputs.model

    def source(self, split: str) -> ImageSource:
        """Return the images of a split, see :meth:`hudd.study.inputs.Inputs.source`."""
        return self.inputs.source(split)

    def spatial_heatmaps(self, rows: np.ndarray, layer: str) -> np.ndarray:
        """Return heatmaps over the image, see :func:`hudd.study.spatial.spatial_heatmaps`."""
        return spatial_heatmaps(self.inputs, rows, layer)

    def writing(self) -> AbstractContextManager[h5py.File]:
        """Open the file, as the only writer, to change it whole or not at all."""
        return self.journal.writing()
