"""What the sets of a study share, by the prints of their images: kept in its file, refused where it voids results."""

from __future__ import annotations

import json
from collections.abc import Mapping

import h5py
import numpy as np

from hudd.data.overlap import Imprint, Overlap, Shared, find_overlap
from hudd.data.prints import COLUMNS, ROWS, Prints
from hudd.errors import UsageError
from hudd.settings import SPLITS
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal

_TOLERATED = 1e-3  # of the test images: so few change no figure that is reported


def compare_sets(inputs: Inputs, journal: Journal) -> None:
    """Compare the sets by the prints of their images, unless that was done, and refuse what voids the results.

    Raises
    ------
    UsageError
        If more than one in a thousand test or judge images are in another set, or as many images have copies with
        different labels, and ``allow_overlap`` is not set. What is rarer is reported with the error rate.
    """
    with journal.file.reading() as h5:
        given = [split for split in SPLITS if split != "judge" or inputs.settings.data(split) is not None]
        sets = {split: h5[f"splits/{split}"] for split in given if f"splits/{split}/pixels" in h5}
        mark = digest([str(h5[f"steps/test/{split}"].attrs["fingerprint"]) for split in sets], sorted(sets))
        known = h5["splits"].attrs.get("overlap_fingerprint") == mark
        several = len(sets) > 1  # the look of images is compared between sets alone
        imprints = {} if known else {split: _imprint(inputs, split, several, sets[split]) for split in sets}
    if not known:
        found = find_overlap(imprints, inputs.results.class_names)
        imprints.clear()  # the file is held in memory while it changes
        with journal.file.writing() as h5:
            h5["splits"].attrs.update(
                overlap=json.dumps(found.to_json(), ensure_ascii=False), overlap_fingerprint=mark
            )
    if not inputs.settings.allow_overlap:
        counts = {name: len(source) for name, source in inputs.sources.items() if name in ("test", "judge")}
        _refuse(inputs.results.overlap, counts, str(inputs.path))


def _imprint(inputs: Inputs, split: str, looks: bool, group: h5py.Group) -> Imprint:
    thumbnail = group["thumbnail"][...] if looks else np.empty((0, ROWS, COLUMNS), np.uint8)
    return Imprint(inputs.source(split).paths, group["label"][...], Prints(group["pixels"][...], thumbnail))


def _refuse(found: Overlap, counts: Mapping[str, int], where: str) -> None:
    go_on = f"take them out of one set, or 'hudd run {where} --allow-overlap' goes on"
    for shared in found.shared:
        tested, other = shared.sets
        if tested in counts and shared.same > _TOLERATED * counts[tested]:
            why = "errors on what a DNN learns from say nothing of others"
            if other == "judge":
                why = "images that choose the clusters cannot judge what came of it"
            raise UsageError(
                f"the {other} set holds {shared.same:,} of the {counts[tested]:,} {tested} images, pixel by pixel "
                f"({_listed(shared)}); {why}: {go_on}."
            )
    if found.contradicting > _TOLERATED * counts["test"]:
        one, label, other, other_label = found.contradictions[0]
        more = f", and {found.contradicting - 1:,} more" if found.contradicting > 1 else ""
        raise UsageError(
            f"{found.contradicting:,} images have copies with other labels ('{one}' is '{label}' and '{other}' is "
            f"'{other_label}'{more}); correct the labels, or 'hudd run {where} --allow-overlap' goes on."
        )


def _listed(shared: Shared, most: int = 3) -> str:
    pairs = [f"'{a}'" if a == b else f"'{a}' as '{b}'" for a, b in shared.pairs[:most]]
    return ", ".join(pairs) + (", ..." if shared.same > len(pairs) else "")
