"""A bundled case: data, a network and settings with which the whole method runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hudd.errors import HuddError

Arrays = dict[str, np.ndarray]
SPLITS = ("train", "test", "improvement")


@dataclass(frozen=True)
class Case:
    """A case: one of hudd's own, or one that another package registers, see ``hudd.extend``.

    Attributes
    ----------
    name : str
        What the user types.
    title : str
        One line that says what it is.
    model : str
        Model spec, see :func:`hudd.capture.loading.load_model`.
    make : callable
        ``make(seed)`` returns the arrays of the splits ``train``, ``test`` and ``improvement``, and of ``judge`` if the
        case has images that only tell what retraining did: ``images`` uint8,
        ``labels``, ``class_names`` and parameter columns, ``cause`` among them: the known root cause that each
        image is subject to, "none" for most.
    training, retraining : mapping
        Options of :class:`hudd.retraining.TrainingConfig` for the first training and for retraining.
    study : mapping
        Options of :meth:`hudd.Study.create`.
    """

    name: str
    title: str
    model: str
    make: Callable[[int], dict[str, Arrays]]
    training: Mapping[str, Any] = field(default_factory=dict)
    retraining: Mapping[str, Any] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)

    def write(self, directory: str | Path, seed: int = 0) -> dict[str, Path]:
        """Make the data and write one ``.npz`` a split.

        Parameters
        ----------
        directory : str or Path
            Made if missing; files of the same name are replaced.
        seed : int
            The same seed gives the same bytes.

        Returns
        -------
        dict of str to Path
            Split name to file.

        Raises
        ------
        HuddError
            If one of the splits is not made.
        """
        directory = Path(directory)
        made, written = self.make(seed), {}
        if missing := [split for split in SPLITS if split not in made]:
            raise HuddError(
                f"case '{self.name}' makes no {missing[0]} set, but {', '.join(made) or 'nothing'}; make "
                f"{', '.join(SPLITS)}."
            )
        directory.mkdir(parents=True, exist_ok=True)
        for split, arrays in made.items():
            written[split] = directory / f"{split}.npz"
            aside = directory / f".{split}.part.npz"
            np.savez(aside, **arrays)  # type: ignore[arg-type]
            aside.replace(written[split])
        return written
