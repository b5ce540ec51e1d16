"""How images and labels were read, for the study's file."""

from __future__ import annotations

import json
from typing import Any

from hudd.data.subset import Subset
from hudd.study.inputs import Inputs

_SPELLED = 1000  # labels as written that are kept


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
    if isinstance(source, Subset) and source.taken_from:
        reading |= {"taken_from": source.taken_from, "taken": source.rows.tolist()}
    if split == "test":
        reading["untrained"] = inputs.model.untrained
    return json.dumps(reading, ensure_ascii=False)
