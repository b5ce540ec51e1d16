"""Labels and the model's outputs: refused where one cannot be tied to the other, and told how it was done."""

from __future__ import annotations

import json
from typing import Any

from hudd.data import ImageSource
from hudd.data.assignment import check_outputs
from hudd.errors import UsageError
from hudd.settings import SPLITS
from hudd.study.inputs import Inputs

_SPELLED = 1000  # labels as written that are kept


def check_classes(inputs: Inputs, outputs: int) -> None:
    """Refuse labels that cannot be tied to the model's outputs with certainty.

    Raises
    ------
    UsageError
        If there are more or fewer names than outputs, labels beyond them, or images of a set without a label.
    """
    names = inputs.given_class_names
    if names is not None and len(names) != outputs:
        where = "`classes` gives" if inputs.settings.classes is not None else "the model's class_names are"
        raise UsageError(
            f"{where} {len(names)} names, and the model has {outputs} outputs; give the name of every output, in "
            "order, with `classes`."
        )
    for split in SPLITS:
        if inputs.settings.data(split) is None:
            continue
        source = inputs.source(split)
        if not len(source.labels):
            continue
        if split != "improvement" and source.labels.min() < 0:
            raise UsageError(_unlabelled(source, split))
        if source.assignment is not None:
            check_outputs(source.assignment, outputs, split)
        if source.labels.max() >= outputs:
            raise UsageError(
                f"the {split} set has labels up to {source.labels.max()}, but the model has {outputs} outputs "
                f"(0 to {outputs - 1}); give the model and the data of the same task."
            )


def reading_of(inputs: Inputs, split: str) -> str:
    """Return as JSON how the images and labels of a set were read, for the study's file."""
    source = inputs.source(split)
    found = source.assignment
    reading: dict[str, Any] = {
        "remarks": [*source.remarks, *(found.remarks if found else ())],
        "skipped": [list(pair) for pair in source.skipped],
        "scanned": source.scanned,
    }
    if found is not None and found.written:
        reading |= {
            "how": found.how,
            "written": found.written[:_SPELLED],
            "outputs": found.outputs[:_SPELLED],
        }
    if split == "test":
        reading["untrained"] = inputs.model.untrained
    return json.dumps(reading, ensure_ascii=False)


def _unlabelled(source: ImageSource, split: str) -> str:
    if source.without_labels:
        return f"{source.without_labels}: the {split} set needs labels."
    rows = (source.labels < 0).nonzero()[0]
    more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    return (
        f"'{source.paths[rows[0]]}'{more} of the {split} set has no label; label every image or leave it out."
    )
