"""What is read from a study's file: looked at before anything is indexed by it, as plain Python values."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from hudd.store import read_values


def given_labels(h5: h5py.File, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the `count` improvement images that labels were given to, -1 where it was another image, and these."""
    if "labels" not in h5:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    labels = h5["labels/label"][...]
    found = "labels/image" in h5  # which says that content was compared
    rows = row_numbers(h5["labels/image"], count, least=-1) if found else np.full(len(labels), -1)
    if labels.shape != rows.shape:
        raise ValueError(f"there are {len(labels)} labels for {len(rows)} images")
    return rows, labels


def row_numbers(dataset: h5py.Dataset, count: int, least: int = 0) -> np.ndarray:
    """Return row numbers from a file, looked at before anything is indexed by them."""
    rows: np.ndarray = dataset[...]
    if (
        rows.ndim != 1
        or rows.dtype.kind not in "iu"
        or (rows.size and (rows.min() < least or rows.max() >= count))  # of any type, unsigned ones too
    ):
        raise ValueError(f"{dataset.name} holds others than rows 0 to {count - 1}")
    return rows


def as_dict(group: h5py.Group) -> dict[str, Any]:
    """Attributes and datasets of a group, its groups as dicts, without dimensions that are but a name."""
    result = {key: plain(value) for key, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            result[name] = as_dict(item)
        elif not (item.is_scale and item.size and item.id.get_storage_size() == 0):
            result[name] = read_values(item)
    return result


def plain(value: Any) -> Any:
    """Return a number or list in place of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else value
