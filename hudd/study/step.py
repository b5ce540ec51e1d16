"""A step of a study: what is true of it, how it is run, and what its results depend on."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from hudd.study.graph import Declaration
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.results import Results


class Run(Protocol):
    """Brings a step's results up to date; the steps before it are."""

    def __call__(self, inputs: Inputs, journal: Journal, *, checksums: bool) -> None:
        """Compute what is missing.

        Parameters
        ----------
        inputs : Inputs
            The DNN, the data and the settings.
        journal : Journal
            Where results are read from and written to.
        checksums : bool
            Read every shard and compute the damaged ones again, also where the step is done.
        """


@dataclass(frozen=True, kw_only=True)
class Step(Declaration):
    """A step, declared by a module of :mod:`hudd.study.steps` as its ``STEP``.

    Attributes
    ----------
    run : Run
        Brings the results up to date.
    fingerprint : callable
        ``fingerprint(inputs, journal)`` returns, by key, what each of its results depends on, in one line.
    possible : callable
        ``possible(results)`` says whether settings and labels allow the step in a run of all steps; the steps that
        it requires are done.
    """

    run: Run
    fingerprint: Callable[[Inputs, Journal], dict[str, str]]
    possible: Callable[[Results], bool] = lambda results: True

    def update(self, inputs: Inputs, journal: Journal, *, checksums: bool) -> None:
        """Run the step, unless an older version of its algorithm has made some of its results and not the others."""
        journal.lead(lambda: self._check_begun(inputs, journal))
        self.run(inputs, journal, checksums=checksums)

    def _check_begun(self, inputs: Inputs, journal: Journal) -> None:
        if self.version == 1:
            return
        marks = self.fingerprint(inputs, journal) if journal.has_older(self) else {}
        done = {key for key, mark in marks.items() if journal.is_done(key, mark)}
        if len(done) < len(marks):
            for key in sorted(done):
                journal.check_algorithm(key)


def find_steps(package: ModuleType) -> Iterator[Step]:
    """Yield the step that each module of a package declares, where it does."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        step = getattr(pkgutil.resolve_name(found.name), "STEP", None)
        if isinstance(step, Step):
            yield step
