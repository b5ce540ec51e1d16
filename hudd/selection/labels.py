"""Labels out to people and back: CSV, Label Studio's JSON, or folders named after the classes.

Whatever the form, an image is known by its path in the improvement set. Import takes labels for any part of
the set and names every row that cannot be used, before anything is changed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

from hudd.cells import match_cell, to_csv
from hudd.data.classes import find_class
from hudd.errors import UsageError
from hudd.store.aside import whole_folder
from hudd.store.files import write_whole
from hudd.text import to_json

_UNLABELLED = "_unlabelled"
_SHOWN = 10


class _Entry(NamedTuple):
    """One label as found: where it stood, which image it is of, and the class as written."""

    place: str
    path: str
    label: str


def export_csv(
    file: str | Path,
    paths: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    *,
    labels: Sequence[str] | None = None,
) -> Path:
    """Write one row per image: path, label (to be filled in, or as known), then the columns.

    Parameters
    ----------
    file : path
        Written again.
    paths : sequence of str
        (S,) identifiers of the images, in the order in which they should be labelled.
    columns : mapping of str to sequence
        (S,) columns to help the labeller: cluster, distance, prediction, entropy.
    labels : sequence of str, optional
        (S,) class names known already, empty where unknown.

    Returns
    -------
    Path
        Of the file.
    """
    known = _check_lengths(paths, columns, labels)
    file = Path(file)
    write_whole(file, to_csv(["path", "label", *columns], zip(paths, known, *columns.values())))
    return file


def export_label_studio(
    file: str | Path,
    paths: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    *,
    labels: Sequence[str] | None = None,
    predictions: Sequence[str] | None = None,
    scores: Sequence[float] | None = None,
    url: Callable[[str], str] = lambda path: "/data/local-files/?d=" + quote(path),
) -> Path:
    """Write Label Studio tasks with the DNN's answers as pre-annotations.

    The labelling interface that fits is :func:`label_studio_interface`'s.

    Parameters
    ----------
    file, paths, columns, labels
        As for :func:`export_csv`; the columns become the tasks' data.
    predictions : sequence of str, optional
        (S,) class names that the DNN predicts.
    scores : sequence of float, optional
        (S,) their softmax probabilities.
    url : callable
        Path to the address under which Label Studio serves the image; by default its local file storage.

    Returns
    -------
    Path
        Of the file.
    """
    known = _check_lengths(paths, columns, labels)
    tasks = []
    for i, path in enumerate(paths):
        data = {name: _plain(column[i]) for name, column in columns.items()}
        task: dict[str, Any] = {"data": {"image": url(path), "path": path, **data}}
        if predictions is not None:
            score = {} if scores is None else {"score": float(scores[i])}
            task["predictions"] = [{"model_version": "hudd", "result": _choice(predictions[i]), **score}]
        if known[i]:
            task["annotations"] = [{"result": _choice(known[i])}]
        tasks.append(task)
    file = Path(file)
    write_whole(file, to_json(tasks, indent=1))
    return file


def label_studio_interface(class_names: Sequence[str]) -> str:
    """Return Label Studio's XML for an interface with one choice of class an image."""
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in class_names)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        '  <Choices name="label" toName="image" choice="single">'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def export_folder(
    folder: str | Path,
    paths: Sequence[str],
    picture: Callable[[int], np.ndarray],
    class_names: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
) -> Path:
    """Write the pictures to a folder to be sorted by hand into one folder per class.

    Pictures without a label go to ``_unlabelled``; an ``index.csv`` ties file names to paths.

    Parameters
    ----------
    folder : path
        Must be empty or not exist.
    paths : sequence of str
        (S,) identifiers.
    picture : callable
        Position among the S images to its (H, W, 3) uint8 picture.
    class_names : sequence of str
        A folder is made for each; names that cannot be folder names are refused.
    labels : sequence of str, optional
        (S,) class names known already, empty where unknown.

    Returns
    -------
    Path
        Of the folder.
    """
    known = _check_lengths(paths, {}, labels)
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder.")
    bad = [name for name in class_names if name in ("", ".", "..", _UNLABELLED) or set(name) & set("/\\\0")]
    if bad:
        raise UsageError(f"classes {bad} cannot be folder names; export to CSV or Label Studio.")
    names = [f"{i:06d}.png" for i in range(len(paths))]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as aside:
        for name in (_UNLABELLED, *class_names):
            (aside / name).mkdir()
        for i, name in enumerate(names):
            Image.fromarray(picture(i)).save(aside / (known[i] or _UNLABELLED) / name)
        (aside / "index.csv").write_bytes(to_csv(["file", "path"], zip(names, paths)))
    return folder


def import_labels(
    source: str | Path,
    paths: Sequence[str],
    class_names: Sequence[str],
    *,
    known: np.ndarray | None = None,
    overwrite: bool = False,
) -> np.ndarray:
    """Read labels from a CSV, a Label Studio export (JSON or JSON-MIN) or a folder of classes.

    Parameters
    ----------
    source : path
        ``.csv`` with columns path and label, ``.json``, or a folder that :func:`export_folder` wrote.
    paths : sequence of str
        (M,) identifiers of the improvement set.
    class_names : sequence of str
        The K classes; see :func:`hudd.data.classes.match` for the spellings that are found.
    known : np.ndarray, optional
        (M,) int64 labels known already, -1 where unknown; a different one is a conflict.
    overwrite : bool
        Let new labels replace different known ones.

    Returns
    -------
    np.ndarray
        (M,) int64 classes, those known and those read; -1 where there is none.

    Raises
    ------
    UsageError
        If the source cannot be read, or rows name images or classes that do not exist, or contradict each
        other or what is known: all such rows are listed, up to ten, and nothing is taken over.
    """
    source = Path(source)
    row_of = {path: row for row, path in enumerate(paths)}
    class_of = cache(partial(find_class, class_names=class_names))
    entries = _entries(source, row_of, class_of)
    labels = np.full(len(paths), -1, np.int64) if known is None else np.array(known, np.int64)
    before, problems = labels.copy(), []
    seen: dict[int, tuple[str, int]] = {}
    for place, path, written in entries:
        row, label = row_of.get(path), class_of(written)
        if row is None:
            problems.append(f"{place}: image '{path}' is not in the improvement set")
        elif label is None:
            close = get_close_matches(written, class_names, 1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            problems.append(f"{place}: class '{written}' is unknown{hint}")
        elif row in seen and seen[row][1] != label:
            other, first = seen[row]
            problems.append(f"{place}: '{path}' is {class_names[label]} but {class_names[first]} at {other}")
        elif not overwrite and before[row] >= 0 and before[row] != label:
            problems.append(
                f"{place}: '{path}' is {class_names[label]} but known as {class_names[before[row]]} "
                "(`overwrite=True` replaces it)"
            )
        else:
            seen[row], labels[row] = (place, label), label
    if problems:
        raise _refusal(source, problems)
    return labels


def _entries(
    source: Path, row_of: Mapping[str, int], class_of: Callable[[str], int | None]
) -> Iterator[_Entry]:
    """Place, path and written label of everything that a source says."""
    if source.is_dir():
        return _read_folder(source, row_of)
    if source.suffix == ".csv" and source.is_file():
        return _read_csv(source, row_of, class_of)
    if source.suffix == ".json" and source.is_file():
        return _read_label_studio(source)
    raise UsageError(f"{source} is no CSV, JSON or folder of labels; give one of these.")


def _refusal(source: Path, problems: list[str]) -> UsageError:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    listed = "; ".join(problems[:_SHOWN])
    return UsageError(f"{source.name} cannot be taken over until it is corrected. {listed}{more}.")


def _read_csv(
    file: Path, row_of: Mapping[str, int], class_of: Callable[[str], int | None]
) -> Iterator[_Entry]:
    for number, row in _rows(file, ("path", "label")):
        if row["label"].strip():
            label = match_cell(row["label"], lambda name: class_of(name) is not None)
            yield _Entry(f"row {number}", match_cell(row["path"], row_of.__contains__), label)


def _rows(file: Path, columns: tuple[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells of each line of a CSV file that has these columns."""
    remedy = f"give a CSV in UTF-8 with the columns {columns[0]} and {columns[1]}"
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            if not set(columns) <= set(reader.fieldnames or ()):
                raise UsageError(f"{file.name} has the columns {reader.fieldnames or 'none'}; {remedy}.")
            for row in reader:
                yield reader.line_num, {name: row[name] for name in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file.name} cannot be read ({error}); {remedy}.") from error


def _read_label_studio(file: Path) -> Iterator[_Entry]:
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{file.name} is not JSON ({error}); export the tasks from Label Studio as JSON or JSON-MIN."
        ) from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UsageError(f"{file.name} is not a list of Label Studio tasks; export as JSON or JSON-MIN.")
    for number, task in enumerate(tasks, 1):
        try:
            path, labels = _task(task)
        except (AttributeError, KeyError, TypeError) as error:
            raise UsageError(
                f"{file.name} task {number} is not one of Label Studio's ({type(error).__name__}: {error}); export "
                "the tasks as JSON or JSON-MIN."
            ) from error
        if path is None:
            raise UsageError(f"{file.name} task {number} has no data.path; label tasks that hudd exported.")
        yield from (_Entry(f"task {number}", path, label) for label in labels)


def _task(task: dict[str, Any]) -> tuple[str | None, list[str]]:
    """Return the path of a task's image, and the labels that it was given."""
    path = task.get("data", task).get("path")
    labels = [task["label"]] if task.get("label") and isinstance(task["label"], str) else []  # JSON-MIN
    for annotation in task.get("annotations") or []:
        for result in [] if annotation.get("was_cancelled") else annotation.get("result") or []:
            if result.get("type") == "choices" and result.get("from_name") == "label":
                labels += result["value"]["choices"]
    if not all(isinstance(label, str) for label in labels):
        raise TypeError("a choice that is no text")
    return (path if isinstance(path, str) else None), labels


def _read_folder(folder: Path, row_of: Mapping[str, int]) -> Iterator[_Entry]:
    index = folder / "index.csv"
    if not index.is_file():
        raise UsageError(f"{folder} has no index.csv; sort a folder that hudd exported.")
    rows = _rows(index, ("file", "path"))
    path_of = {row["file"]: match_cell(row["path"], row_of.__contains__) for _, row in rows}
    for file in sorted(folder.glob("*/*")):
        if file.parent.name != _UNLABELLED and file.name in path_of:
            yield _Entry(f"{file.parent.name}/{file.name}", path_of[file.name], file.parent.name)


def _choice(name: str) -> list[dict[str, Any]]:
    return [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [name]}}]


def _check_lengths(
    paths: Sequence[str], columns: Mapping[str, Sequence[Any]], labels: Sequence[str] | None
) -> Sequence[str]:
    """Return the known labels, empty where there are none, after a look at all lengths."""
    known = [""] * len(paths) if labels is None else labels
    lengths = {"label": len(known), **{name: len(column) for name, column in columns.items()}}
    if wrong := {name: length for name, length in lengths.items() if length != len(paths)}:
        raise UsageError(f"{len(paths)} images are exported but columns have other lengths: {wrong}.")
    return known


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
