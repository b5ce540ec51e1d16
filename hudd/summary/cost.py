"""What the labels of a selection buy: how many are errors of the DNN, how many images are unlike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hudd.data.prints import Prints
from hudd.data.split import groups_alike
from hudd.summary.findings import Findings


@dataclass(frozen=True)
class Cost:
    """Of some labelled or selected improvement images.

    Attributes
    ----------
    labels : int
        Different images, each of which takes a label.
    known : int
        Those whose label is known.
    errors : int
        Of these, the ones that the DNN gets wrong.
    groups : int
        Groups of images that look alike, an image like no other being one.
    """

    labels: int
    known: int
    errors: int
    groups: int

    def __str__(self) -> str:
        share = (
            f", {self.errors / self.known:.0%} of the {self.known:,} known ones errors" if self.known else ""
        )
        return f"{self.labels:,} labels{share}, {self.groups:,} groups of images that look alike"


def cost_of(study: Findings, rows: np.ndarray) -> Cost:
    """Count what the labels of improvement images buy.

    Parameters
    ----------
    study : Findings
        With a tested improvement set.
    rows : np.ndarray
        (n,) int rows of it; repeats count once.
    """
    rows = np.unique(rows)
    labels = study.labels[rows]
    known = labels >= 0
    wrong = known & (labels != study.split("improvement").prediction[rows])
    return Cost(len(rows), int(known.sum()), int(wrong.sum()), _groups(study, rows))


def _groups(study: Findings, rows: np.ndarray) -> int:
    with study.file.reading() as h5:
        group = h5["splits/improvement"]
        if "thumbnail" not in group:  # tested before hudd kept them
            return len(rows)
        prints = Prints(group["pixels"][...][rows], group["thumbnail"][...][rows])
    return len(np.unique(groups_alike(prints)))
