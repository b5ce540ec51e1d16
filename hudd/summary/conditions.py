"""Identifiers of causes as triggering conditions, which stay as long as what they name does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from hudd.evaluation import Region
from hudd.summary.causes import CauseFacts, cause_facts, cause_regions
from hudd.summary.findings import Findings

_DIGITS = 12  # of a SHA-256: two of a thousand conditions are alike once in 10^8 studies


def cause_identifiers(study: Findings) -> dict[int, str]:
    """Return an identifier of each cause, by its number, in the order of :func:`hudd.summary.cause_facts`.

    It is made from the condition, the DNN and the test data, so the same study gives the same one.
    """
    facts, regions = cause_facts(study), cause_regions(study)
    model, data = str(study.provenance.get("model_sha256", "")), study.split("test").fingerprint
    images = image_digests(study, "test") or study.split("test").path

    def told(fact: CauseFacts) -> Region | str | list[str]:
        if fact.rule:
            return regions.get(fact.number, fact.rule)
        return [images[row] for row in study.errors[fact.rows].tolist()]

    names = numbered([identifier(told(fact), model, data) for fact in facts])
    return {fact.number: name for fact, name in zip(facts, names)}


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


def numbered(identifiers: Sequence[str]) -> list[str]:
    """Return identifiers with ``-2``, ``-3`` behind those that occur before, of causes with the same condition."""
    seen: dict[str, int] = {}
    found = []
    for one in identifiers:
        seen[one] = seen.get(one, 0) + 1
        found.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return found


def image_digests(study: Findings, split: str) -> list[str] | None:
    """Return 128 bits of the BLAKE2b hash of each image's pixels as 32 hexadecimal digits.

    None where the study has none: it was tested by an older version.
    """
    name = f"splits/{split}/pixels"
    if not study.has(name):
        return None
    with study.file.reading() as h5:
        pixels = np.asarray(h5[name][...], np.uint64)
    return [f"{high:016x}{low:016x}" for high, low in pixels.tolist()]
