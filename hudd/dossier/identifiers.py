"""Names of triggering conditions and images that stay the same as long as what they name does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hudd.evaluation import Region

if TYPE_CHECKING:
    from hudd.review.view import View

_DIGITS = 12  # of a SHA-256: two of a thousand conditions are alike once in 10^8 dossiers


def identifier(condition: Region | str | Sequence[str], model: str, data: str) -> str:
    """Return the identifier of a triggering condition: ``TC-`` and digits; without a condition ``FG-`` and digits.

    Parameters
    ----------
    condition : Region, str or sequence of str
        The region of the rule, its text where an older study has no region, or the images of a group of failures
        without a rule.
    model, data : str
        Digests of the DNN and of the test data.
    """
    if isinstance(condition, Region):
        told, start = sorted(json.dumps(row, sort_keys=True) for row in json.loads(condition.to_json())), "TC"
    elif isinstance(condition, str):
        told, start = [condition], "TC"
    else:
        told, start = sorted(condition), "FG"
    content = json.dumps([told, model, data])
    return f"{start}-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"


def image_digests(study: View, split: str) -> list[str] | None:
    """Return 128 bits of the BLAKE2b hash of each image's pixels as 32 hexadecimal digits.

    None where the study has none: it was tested by an older version.
    """
    name = f"splits/{split}/pixels"
    if not study.has(name):
        return None
    with study.file.reading() as h5:
        pixels = np.asarray(h5[name][...], np.uint64)
    return [f"{high:016x}{low:016x}" for high, low in pixels.tolist()]


def numbered(identifiers: Sequence[str]) -> list[str]:
    """Return identifiers with ``-2``, ``-3`` behind those that occur before, of causes with the same condition."""
    seen: dict[str, int] = {}
    found = []
    for one in identifiers:
        seen[one] = seen.get(one, 0) + 1
        found.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return found
