"""The images of a study as its settings ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hudd.data import ImageSource, open_source
from hudd.data.decoding import Decoder
from hudd.data.split import groups_of, split_rows
from hudd.data.subset import Subset
from hudd.errors import UsageError
from hudd.study.settings import Settings

_ORDER = (
    "train",
    "test",
    "judge",
    "improvement",
)  # the first that has names of classes names them for the others
Known = Callable[[str], Mapping[str, Any]]


def open_sources(
    settings: Settings,
    transform: Callable[..., torch.Tensor] | None,
    names: Sequence[str] | None,
    known: Known,
    decoder: Decoder,
) -> dict[str, ImageSource]:
    """Open every set that the study has, its labels in the order of the model's outputs as far as names tell.

    Parameters
    ----------
    settings : Settings
    transform : callable or None
        From pixels to the model's input.
    names : sequence of str or None
        Names of the outputs in order, where they are given.
    known : callable
        ``known(split)`` returns how a split was read when it was tested.
    decoder : str
        What decodes JPEG files.
    """
    found, sources = list(names) if names is not None else None, dict[str, ImageSource]()
    for split in _ORDER:
        spec = settings.data(split)
        if spec is None or split in sources:
            continue
        how: dict[str, Any] = {"exif_orient": settings.exif_orient, "decoder": decoder}
        source = open_source(spec, transform=transform, class_names=found, **how)
        sources[split] = _without_bad(split, source, known(split)) if settings.skip_bad else source
        found = found or sources[split].class_names
        if split == "test" and settings.judge_share is not None:
            sources |= _divided(settings, sources[split], known("judge"))
    return sources


def _divided(settings: Settings, source: ImageSource, known: Mapping[str, Any]) -> dict[str, Subset]:
    """Take the judge set from the test set: the rows that were found when these very files were tested, or now."""
    assert settings.judge_share is not None
    mark = source.fingerprint()
    chosen, how = np.zeros(len(source), bool), [settings.judge_share, settings.judge_groups, settings.seed]
    if known.get("taken_from") == [mark, *how]:
        chosen[known["taken"]] = True
    else:
        groups = groups_of(source, settings.judge_groups, workers=settings.workers)
        chosen = split_rows(source.labels, groups, settings.judge_share, seed=settings.seed)
    if not chosen.any() or chosen.all():
        raise UsageError(
            f"a judge set of {settings.judge_share:.0%} of the {len(source):,} test images leaves one of the two sets "
            "empty, since images that belong together stay together; give another share or other judge_groups, or a "
            "judge set of its own."
        )
    parts = {
        "test": Subset(source, np.flatnonzero(~chosen), mark),
        "judge": Subset(source, np.flatnonzero(chosen), mark),
    }
    parts["judge"].taken_from = [mark, *how]
    return parts


def _without_bad(split: str, source: ImageSource, known: Mapping[str, Any]) -> ImageSource:
    """Leave out the images that cannot be decoded: those that were found when these very files were tested, or now."""
    try:
        mark = source.fingerprint()
    except UsageError:  # a file that is not there
        mark = ""
    if mark and known.get("scanned") == mark:
        reasons = {str(path): str(reason) for path, reason in known["skipped"]}
        bad = (
            {row: reasons[path] for row, path in enumerate(source.paths) if path in reasons}
            if reasons
            else {}
        )
    else:
        bad = dict(source.faults())
    kept = source.without(bad)
    if not len(kept):
        raise UsageError(
            f"none of the {len(source):,} images of the {split} set can be decoded; give others."
        )
    kept.scanned = mark
    return kept
