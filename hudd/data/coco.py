"""Landmarks from a file of COCO keypoints: one annotated object an image, absent points unknown.

The format is that of T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and
https://cocodataset.org/#format-data: x, y and visibility of every keypoint, in pixels of the image file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hudd.data.assignment import unlabelled
from hudd.data.base import ImageSource
from hudd.data.files import FileSource, first
from hudd.data.targets import target_columns
from hudd.data.transforms import Transform
from hudd.errors import UsageError
from hudd.lazy import torch

ANNOTATION_SUFFIX = ".json"
_FORM = "a file of COCO keypoints has the lists images, annotations and categories"


@dataclass(frozen=True)
class CocoKeypoints:
    """What a file of COCO keypoints says.

    Attributes
    ----------
    file : Path
    images : list of str
        Names of the N image files as written.
    sizes : numpy.ndarray
        (N, 2) width and height of the images in pixels, NaN where not given.
    names : list of str
        Of the K keypoints.
    places : numpy.ndarray
        (N, K, 2) x and y in pixels of the image; NaN where a point is absent, visibility 0.
    """

    file: Path
    images: list[str]
    sizes: np.ndarray
    names: list[str]
    places: np.ndarray


def open_coco(file: Path, *, transform: Callable[..., torch.Tensor] | None = None) -> FileSource:
    """Open the images that a file of COCO keypoints lists, their names relative to its folder.

    Raises
    ------
    UsageError
        If the file cannot be used, or lists an image twice.
    """
    found = read_coco(file)
    twice = [name for name, count in Counter(found.images).items() if count > 1]
    if twice or not found.images:
        what = f"lists the image '{twice[0]}' twice" if twice else "lists no images"
        raise UsageError(f"'{file}' {what}; every image needs an entry of its own.")
    assignment = unlabelled(len(found.images), None)
    source = FileSource(
        [file.parent / name for name in found.images], found.images, assignment.labels, [], None, transform
    )
    source.assignment = assignment
    source.without_labels = f"'{file}' has landmarks and no classes"
    return annotate(source, found)


def annotate(source: FileSource, found: CocoKeypoints) -> FileSource:
    """Return a source with the landmarks of a file of COCO keypoints as its targets.

    Images are found by their path, else by the name of their file, where it is that of one image alone. Where the
    transform is a :class:`Transform` that resizes, the places are brought to the size of its result.

    Raises
    ------
    UsageError
        If none of the images is annotated, or one may be either of two.
    """
    rows = _rows(source, found)
    known = rows >= 0
    places = np.where(known[:, None, None], found.places[rows], np.nan)
    sizes = found.sizes[rows]
    if isinstance(source.transform, Transform) and source.transform.resize is not None:
        if not np.isfinite(sizes[known]).all():
            row = int(np.flatnonzero(known)[(~np.isfinite(sizes[known]).all(axis=1)).argmax()])
            raise UsageError(
                f"image '{source.paths[row]}' has no width and height in '{found.file}', and is resized; add them."
            )
        places = places * (np.array(source.transform.resize[::-1]) / sizes)[:, None]
    columns = target_columns(places, found.names, f"'{found.file}'", f"'{found.file}'")
    other = copy(source)
    other.parameters = {**source.parameters, **columns}
    other.target_names = list(columns)
    return other


def _rows(source: ImageSource, found: CocoKeypoints) -> np.ndarray:
    """Return the entry of each image, (N,) int64, -1 where it has none."""
    by_path = {name: at for at, name in enumerate(found.images)}
    names = [Path(name).name for name in found.images]
    counted, ours = Counter(names), Counter(Path(path).name for path in source.paths)
    by_name = dict(zip(names, range(len(names))))
    rows = np.full(len(source), -1, np.int64)
    for row, path in enumerate(source.paths):
        name = Path(path).name
        if path in by_path:
            rows[row] = by_path[path]
        elif name in by_name:
            if counted[name] > 1 or ours[name] > 1:
                raise UsageError(
                    f"image '{path}' has the file name of several in '{found.file}' or of the set; write paths that "
                    "tell them apart into the file's list of images."
                )
            rows[row] = by_name[name]
    if (rows < 0).all():
        raise UsageError(
            f"none of the {len(source):,} images ('{source.paths[0]}', ...) is one of '{found.file}' "
            f"({first(found.images, 3)}); give the file that belongs to them."
        )
    return rows


def read_coco(file: Path) -> CocoKeypoints:
    """Read a file of COCO keypoints.

    Raises
    ------
    UsageError
        If it cannot be read, is of another form, or has two annotated objects in an image.
    """
    content = _content(file)
    images, annotations, categories = (content[key] for key in ("images", "annotations", "categories"))
    rows = {_entry(image, "id", file): row for row, image in enumerate(images)}
    paths = [str(_entry(image, "file_name", file)) for image in images]
    sizes = np.array([[_size(image, side) for side in ("width", "height")] for image in images]).reshape(
        -1, 2
    )
    seen = [one for one in annotations if any(_keypoints(one, file)[:, 2] > 0)]
    names = _names(seen, categories, file)
    places = np.full((len(images), len(names), 2), np.nan)
    taken: set[int] = set()
    for one in seen:
        row, points = rows.get(one.get("image_id")), _keypoints(one, file)
        if row is None:
            raise UsageError(
                f"'{file}' annotates image {one.get('image_id')}, which it does not list; add it."
            )
        if row in taken:
            raise UsageError(
                f"'{file}' annotates two objects in '{paths[row]}', and a DNN is tested on one an image; cut the "
                "objects out, an image each, or leave the others out."
            )
        if len(points) != len(names):
            raise UsageError(
                f"'{file}' gives {len(points)} keypoints for '{paths[row]}', and there are {len(names)}; give x, y and "
                "visibility of each."
            )
        taken.add(row)
        places[row] = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
    return CocoKeypoints(file, paths, sizes, names, places)


def _content(file: Path) -> Mapping[str, list[Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = f"{error or type(error).__name__}".splitlines()[0].rstrip(".")
        raise UsageError(f"'{file}' cannot be read ({reason}); {_FORM}, as JSON in UTF-8.") from error
    keys = ("images", "annotations", "categories")
    lists = isinstance(content, dict) and all(
        isinstance(content.get(key), list) and all(isinstance(one, dict) for one in content[key])
        for key in keys
    )
    if not lists:
        raise UsageError(f"'{file}' is of another form; {_FORM}.")
    if not any("keypoints" in one for one in content["annotations"]):
        raise UsageError(f"'{file}' annotates no keypoints; {_FORM}, with keypoints in the annotations.")
    found: dict[str, list[Any]] = content
    return found


def _entry(image: Mapping[str, Any], key: str, file: Path) -> Any:
    value = image.get(key)
    if not isinstance(value, (str, int)):
        raise UsageError(f"an image of '{file}' has no {key}; {_FORM}, with id and file_name of every image.")
    return value


def _size(image: Mapping[str, Any], side: str) -> float:
    value = image.get(side)
    return float(value) if isinstance(value, (int, float)) and value > 0 else np.nan


def _keypoints(one: Mapping[str, Any], file: Path) -> np.ndarray:
    """Return x, y and visibility of the keypoints of an annotation, (K, 3); none of one of another kind."""
    try:
        points = np.array(one.get("keypoints", []), np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"an annotation of image {one.get('image_id')} in '{file}' has keypoints that are no triples of numbers; "
            "give x, y and visibility of each, in one list."
        ) from error
    if not np.isfinite(points).all():
        raise UsageError(
            f"an annotation of image {one.get('image_id')} in '{file}' has keypoints that are not finite; give an "
            "absent point the visibility 0."
        )
    return points


def _names(seen: list[dict[str, Any]], categories: list[dict[str, Any]], file: Path) -> list[str]:
    """Return the names of the keypoints, those of the one category that is annotated."""
    used = {one.get("category_id") for one in seen}
    if len(used) > 1:
        raise UsageError(
            f"'{file}' annotates keypoints of {len(used)} categories, and a DNN has landmarks of one; leave the other "
            "ones out."
        )
    own = next((one.get("keypoints") for one in categories if one.get("id") in used), None)
    if isinstance(own, list) and own:
        return [str(name) for name in own]
    count = len(_keypoints(seen[0], file)) if seen else 0
    if not count:
        raise UsageError(
            f"'{file}' annotates no point that is there; visibility is 1 or 2 of those that are."
        )
    return [str(number) for number in range(count)]
