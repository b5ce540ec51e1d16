"""What every object of ``study.h5`` is: by that, a file of another program's is told from a mistake of ours."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np

# Names, the kinds of NumPy's dtypes that they have, and the number of axes; "G" is a group. "$" is any one name.
_TEXT, _WHOLE, _REAL, _TRUTH = "O", "iu", "f", "b"
_OBJECTS: tuple[tuple[str, str, int], ...] = (
    ("splits splits/$ splits/$/parameters layers layers/$ layers/$/wicd clusters selection", "G", 0),
    ("clusters/causes", "G", 0),
    ("selection/nearest labels retraining retraining/$ retraining/$/$ retraining/$/$/history", "G", 0),
    ("evaluation evaluation/$ steps steps/$ judge retraining/$/$/judge", "G", 0),
    ("class splits/$/path labels/path labels/content", _TEXT, 1),
    ("evaluation/variance/parameter evaluation/ranges/parameter evaluation/purity/majority", _TEXT, 1),
    ("evaluation/rules/text evaluation/rules/parameters", _TEXT, 1),
    ("splits/$/reading", _TEXT, 0),
    ("splits/$/pixels", _WHOLE, 2),
    ("splits/$/thumbnail", _WHOLE, 3),
    ("splits/$/parameters/$", _TEXT + _REAL, 1),
    ("error splits/$/label splits/$/prediction layers/$/label layers/$/medoid layers/$/wicd/k", _WHOLE, 1),
    ("splits/$/measured", _WHOLE, 1),
    ("clusters/cause clusters/causes/medoid", _WHOLE, 1),
    ("clusters/causes/common", _TRUTH, 1),
    ("clusters/causes/shared clusters/causes/p_apart clusters/causes/p_inside", _REAL, 1),
    ("clusters/label clusters/medoid selection/image selection/cluster selection/rank", _WHOLE, 1),
    ("selection/nearest/clusters selection/nearest/size labels/label labels/image", _WHOLE, 1),
    ("retraining/$/$/bag retraining/$/$/cluster evaluation/$/cluster", _WHOLE, 1),
    ("judge/member", _WHOLE, 1),
    ("judge/inside retraining/$/$/judge/before retraining/$/$/judge/after", _TRUTH, 1),
    ("judge/distance", _REAL, 1),
    ("selection/nearest/member", _WHOLE, 2),
    ("splits/$/correct selection/outside retraining/$/$/before retraining/$/$/after", _TRUTH, 1),
    ("splits/$/score splits/$/entropy layers/$/conservation layers/$/cumulative", _REAL, 1),
    (
        "layers/$/distance layers/$/wicd/value layers/$/wicd/gradient selection/distance selection/radius_ratio",
        _REAL,
        1,
    ),
    ("selection/nearest/reach retraining/$/$/recovery evaluation/purity/purity", _REAL, 1),
    ("evaluation/variance/p_value evaluation/ranges/low evaluation/ranges/high", _REAL, 1),
    ("evaluation/rules/f1 evaluation/rules/p_value", _REAL, 1),
    ("layers/$/linkage selection/nearest/distance evaluation/variance/reduction", _REAL, 2),
    ("evaluation/variance/shift", _REAL, 2),
)
_ATTRIBUTES: tuple[tuple[str, str, str, int], ...] = (
    ("/", "version minor", _WHOLE, 0),
    ("/", "settings model preset hudd_version weights_told checksums", _TEXT, 0),
    ("splits", "overlap overlap_fingerprint", _TEXT, 0),
    ("splits/$", "fingerprint", _TEXT, 0),
    ("layers/$", "index channel_axis", _WHOLE, 0),
    ("layers/$", "shape", _WHOLE, 1),
    ("layers/$/wicd", "chosen_k", _WHOLE, 0),
    ("layers/$/wicd", "linked_from", _TEXT, 0),
    ("layers/$/wicd", "wicd scaled_wicd", _REAL, 0),
    ("clusters", "layer", _TEXT, 0),
    ("retraining/$/$ retraining/$/$/judge", "accuracy_before accuracy_after", _REAL, 0),
    ("retraining/$/$ retraining/$/$/judge", "improved worsened best_epoch", _WHOLE, 0),
    ("evaluation/purity", "weighted_purity coverage", _REAL, 0),
    ("evaluation/variance", "share_reduced_by_half share_reduced_by_chance", _REAL, 0),
    ("steps/$ steps/$/$", "fingerprint finished hudd_version torch_version machine device", _TEXT, 0),
    ("steps/$ steps/$/$", "seconds", _REAL, 0),
    ("steps/$ steps/$/$", "threads processes algorithm_version", _WHOLE, 0),
)


def first_mismatch(file: h5py.File) -> str | None:
    """Return the first object or attribute that is of another kind than the format says; None if there is none.

    Names that the format does not have are not judged, nor is what is missing.
    """
    found: list[str] = []
    file.visit(found.append)
    for name in ("/", *found):
        item = file[name]
        for places, kinds, axes in _OBJECTS:
            if _is(name, places) and not _fits(item, kinds, axes):
                return name
        for places, names, kinds, axes in _ATTRIBUTES:
            for key in names.split() if _is(name, places) else ():
                if key in item.attrs and not _fits(item.attrs[key], kinds, axes):
                    return f"{name}, {key}"
    return None


def _is(name: str, places: str) -> bool:
    return any(re.fullmatch(re.escape(place).replace(r"\$", "[^/]+"), name) for place in places.split())


def _fits(item: Any, kinds: str, axes: int) -> bool:
    if kinds == "G" or isinstance(item, (h5py.Group, h5py.Datatype)):
        return kinds == "G" and isinstance(item, h5py.Group)
    if isinstance(item, str):
        return _TEXT in kinds and not axes
    if isinstance(item, h5py.Dataset) and (h5py.check_string_dtype(item.dtype) is None) == (
        item.dtype.kind == "O"
    ):
        return False  # fixed strings and references are nothing that we write
    return isinstance(item, (h5py.Dataset, np.ndarray, np.generic)) and (
        item.dtype.kind in kinds and item.shape is not None and len(item.shape) == axes
    )
