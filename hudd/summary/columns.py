"""What is known about the images of a split, column by column: what rules and criteria ask about."""

from __future__ import annotations

import numpy as np

from hudd.attributes import Attribute, named_attributes
from hudd.evaluation import turn
from hudd.summary.findings import Findings

TURN = Attribute(
    name="turn",
    description="tilt against that of correctly classified images of the same class",
    unit="deg",
    away="rotated images",
)


def attributes_known(study: Findings) -> dict[str, Attribute]:
    """Return the attributes that a study measures of its images, and the one that follows from them, by name."""
    return named_attributes(study.settings.attributes) | {TURN.name: TURN}


def columns_of(
    study: Findings, name: str, *, parameters: bool = True, among: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return the columns of a split's N images: the parameters of the data, then what was measured.

    In place of the tilt of an image is its turn, against the correctly classified test images of its class. Attributes
    of what the DNN answers are left out: those of errors are unlike those of correctly classified images anyway.

    Parameters
    ----------
    study : Findings
        With that split and the test set.
    name : str
        The split.
    parameters : bool
        Include the parameters, which come before an attribute of the same name.
    among : np.ndarray, optional
        (N_test,) bool, the test images that turns are measured against; by default all.
    """
    split = study.split(name)
    columns: dict[str, np.ndarray] = dict(split.parameters) if parameters else {}
    own = [one for one in attributes_known(study) if one in split.attributes and one not in columns]
    for one in own:
        numbers = np.asarray(split.attributes[one], float)
        if one == "tilt" and TURN.name not in columns:
            columns[TURN.name] = _turns(study, name, numbers, among)
        else:
            columns[one] = numbers
    return columns


def _turns(study: Findings, name: str, tilt: np.ndarray, among: np.ndarray | None) -> np.ndarray:
    split, test = study.split(name), study.split("test")
    usual = test.correct if among is None else test.correct & among
    if name == "test":
        return turn(tilt, test.label, usual)
    own = np.asarray(test.attributes.get("tilt", np.full(len(usual), np.nan)), float)
    both = np.concatenate([own, tilt]), np.concatenate([test.label, split.label])
    return turn(*both, np.concatenate([usual, np.zeros(len(tilt), bool)]))[len(own) :]
